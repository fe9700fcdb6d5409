"""The message of a notification: a CloudEvent 1.0 as JSON, in HTTP's structured mode.

Structured mode, because the signature covers only the body: in binary mode, type, source and subject would be unsigned
headers. A message holds nothing that may change before a retry, so that each id has one content.
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
"""The fields of the status in each event: those that do not change after it."""
_CONDITION_OF: Final = {
    "AwaitingReview": SLA_SATISFIED, "Verdict": SLA_SATISFIED, "Completed": COMPLETE, "Failed": FAILED,
}  # fmt: skip
"""The condition whose reason and message are in an event."""


def event_id(job: JobRecord, key: NotificationKey) -> str:
    """Return the id of a notification: equal for all attempts, replicas and receivers.

    It contains no dots: they separate the parts of the signed text.
    """
    _, event, time = key
    return f"{job.uid}-{_words(event)}-{re.sub('[^0-9TZ]', '', time)}"


def message(job: JobRecord, status: CompressionJobStatus, key: NotificationKey, source: str) -> HTTPMessage:
    """Return the headers and the body of a notification."""
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
    fields = status.to_json()
    data: dict[str, Any] = {
        "job": {"namespace": job.namespace, "name": job.name, "uid": job.uid, "runtime": job.runtime},
        "event": event,
    }
    kind = _CONDITION_OF.get(event)
    explanation = next((item for item in status.conditions if item.type == kind), None)
    if explanation is not None:
        data |= {"reason": explanation.reason, "message": explanation.message}
    return data | {name: fields[name] for name in _FIELDS.get(event, ()) if fields.get(name) not in (None, "", [])}


def _words(event: str) -> str:
    """Return ``AwaitingReview`` as ``awaiting-review``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", event).lower()
