"""Events about CompressionJobs and CompressionReviews.

They are sent in the background from a bounded outbox; repeated ones are counted, dropped ones are logged.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from compression_operator.cluster.client import Client
from compression_operator.cluster.errors import AlreadyExists, ApiError, Forbidden, Invalid, NotFound
from compression_operator.cluster.resources import EVENTS
from compression_operator.records.job import JobRecord
from compression_operator.records.review import ReviewRecord
from compression_operator.telemetry.metrics import Metrics
from compression_operator.telemetry.notes import Note
from compressionjob.group import API_VERSION, JOB_KIND, MANAGED_BY, REVIEW_KIND

MAX_WAITING: Final = 16384
MAX_REMEMBERED: Final = 4096
ATTEMPTS: Final = 3
SENDERS: Final = 2
MAX_YIELD: Final = 5.0
YIELD_POLL: Final = 0.05

Subject = JobRecord | ReviewRecord
"""The object that an Event is about."""

logger = logging.getLogger(__name__)


def _may_pass(error: BaseException) -> bool:
    """Return whether a retry may succeed: not in a terminating namespace, or without permissions."""
    return isinstance(error, ApiError) and not isinstance(error, (Forbidden, Invalid, NotFound))


def _pause(state: RetryCallState) -> float:
    """Return the seconds before the next attempt: those that the API server asks for, or 2, 4 and so on."""
    error = state.outcome.exception() if state.outcome else None
    return max(error.retry_after if isinstance(error, ApiError) else 0.0, 2.0**state.attempt_number)


class EventRecorder:
    """A bounded outbox of Events. An Event's name is a hash of its content, so that repetitions are detected."""

    def __init__(
        self, client: Client, metrics: Metrics, instance: str, busy: Callable[[], bool] = lambda: False
    ) -> None:
        self._client = client
        self._metrics = metrics
        self._instance = instance
        self._busy = busy
        self._waiting: asyncio.Queue[tuple[Subject, Note]] = asyncio.Queue(maxsize=MAX_WAITING)
        self._counts: OrderedDict[str, int] = OrderedDict()

    def record(self, subject: Subject, note: Note) -> None:
        """Put an Event into the outbox; if it is full, drop, count and log the Event."""
        try:
            self._waiting.put_nowait((subject, note))
        except asyncio.QueueFull:
            self._metrics.events.labels("dropped").inc()
            logger.warning("event dropped: %s/%s: %s: %s", subject.namespace, subject.name, note.reason, note.text)

    async def run(self) -> None:
        """Send the Events of the outbox until cancelled."""
        async with asyncio.TaskGroup() as senders:
            for _ in range(SENDERS):
                senders.create_task(self._send_all())

    async def _send_all(self) -> None:
        while True:
            subject, note = await self._waiting.get()
            await self._yield_to_jobs()
            outcome = await self._send(subject, note)
            self._metrics.events.labels(outcome).inc()

    async def _yield_to_jobs(self) -> None:
        """Wait while jobs are queued, at most MAX_YIELD seconds: children and statuses come before Events."""
        waited = 0.0
        while self._busy() and waited < MAX_YIELD:
            await asyncio.sleep(YIELD_POLL)
            waited += YIELD_POLL

    async def _send(self, subject: Subject, note: Note) -> str:
        event = event_of(subject, note, instance=self._instance, now=datetime.now(UTC))
        # Not shared: it has the state of one call.
        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_pass), stop=stop_after_attempt(ATTEMPTS), wait=_pause, reraise=True
        )
        try:
            return await retrying(self._send_once, subject.namespace, event)
        except ApiError as error:
            logger.warning("event not sent: %s", error)
            return "failed"

    async def _send_once(self, namespace: str, event: dict[str, Any]) -> str:
        name = event["metadata"]["name"]
        try:
            await self._client.create(EVENTS, namespace, event)
        except AlreadyExists:
            count = self._counts[name] = self._counts.pop(name, 1) + 1
            series = {"count": count, "lastObservedTime": event["eventTime"]}
            await self._client.merge_patch(EVENTS, namespace, name, {"series": series})
            if len(self._counts) > MAX_REMEMBERED:
                self._counts.popitem(last=False)
            return "repeated"
        return "sent"


def event_of(subject: Subject, note: Note, *, instance: str, now: datetime) -> dict[str, Any]:
    """Return the manifest of an Event (events.k8s.io/v1)."""
    kind = REVIEW_KIND if isinstance(subject, ReviewRecord) else JOB_KIND
    digest = hashlib.sha256(f"{subject.uid}/{note.reason}/{note.text}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{subject.name[:200]}.{digest}", "namespace": subject.namespace},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": MANAGED_BY,
        "reportingInstance": instance[:128],
        "action": "Reconcile",
        "type": note.type,
        "reason": note.reason,
        "note": note.text,
        "regarding": {
            "apiVersion": API_VERSION, "kind": kind, "namespace": subject.namespace, "name": subject.name,
            "uid": subject.uid,
        },
    }  # fmt: skip
