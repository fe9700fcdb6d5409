"""A notification as it goes over the wire: a CloudEvent 1.0, JSON, in HTTP's structured mode.

Structured, because the signature covers the body only: in binary mode type, source and subject would be unsigned
headers. A message holds nothing that could be otherwise at the next try, so that one id always means one content.
"""

import re
from typing import Any, Final

from cloudevents.core.bindings.http import HTTPMessage, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from compression_operator.records.delivery import NotificationKey
from compression_operator.records.job import JobRecord
from compression_operator.records.reading import parse_time
from compressionjob.conditions import COMPLETE, FAILED, SLA_SATISFIED
from compressionjob.group import GROUP, JOB_PLURAL, VERSION
from compressionjob.status import CompressionJobStatus

TYPE_PREFIX: Final = f"{'.'.join(reversed(GROUP.split('.')))}.job"

_MEASURED: Final = (
    "verdict", "confidence", "sizeRatio", "latencyP99", "objectives", "anomalies", "baseline", "compressed", "report",
    "digest",
)  # fmt: skip
_ENDED: Final = (*_MEASURED, "artifact", "review", "retries", "startTime", "completionTime")
_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "AwaitingReview": _MEASURED, "Verdict": _MEASURED, "Completed": _ENDED, "Failed": _ENDED,
}  # fmt: skip
"""The parts of the status that an event tells: those that do not change after it."""
_EXPLAINED_BY: Final = {
    "AwaitingReview": SLA_SATISFIED, "Verdict": SLA_SATISFIED, "Completed": COMPLETE, "Failed": FAILED,
}  # fmt: skip
"""The condition whose reason and message explain an event."""


def event_id(job: JobRecord, key: NotificationKey) -> str:
    """The id of a notification: the same at every try, from every replica, for every receiver. No dots: they separate
    what is signed."""
    _, event, time = key
    return f"{job.uid}-{_words(event)}-{re.sub('[^0-9TZ]', '', time)}"


def message(job: JobRecord, status: CompressionJobStatus, key: NotificationKey, source: str) -> HTTPMessage:
    """The headers and the body of a notification."""
    _, event, time = key
    attributes = {
        "specversion": "1.0",
        "id": event_id(job, key),
        "source": f"{source}/apis/{GROUP}/{VERSION}/namespaces/{job.namespace}/{JOB_PLURAL}/{job.name}",
        "type": f"{TYPE_PREFIX}.{_words(event)}",
        "subject": f"{job.namespace}/{job.name}",
        "time": parse_time(time),
        "datacontenttype": "application/json",
    }
    return to_structured(CloudEvent(attributes, _data(job, status, event)), JSONFormat())


def _data(job: JobRecord, status: CompressionJobStatus, event: str) -> dict[str, Any]:
    told = status.to_json()
    data: dict[str, Any] = {
        "job": {"namespace": job.namespace, "name": job.name, "uid": job.uid, "runtime": job.runtime},
        "event": event,
    }
    kind = _EXPLAINED_BY.get(event)
    explanation = next((item for item in status.conditions if item.type == kind), None)
    if explanation is not None:
        data |= {"reason": explanation.reason, "message": explanation.message}
    return data | {name: told[name] for name in _FIELDS.get(event, ()) if told.get(name) not in (None, "", [])}


def _words(event: str) -> str:
    """``AwaitingReview`` as ``awaiting-review``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", event).lower()
