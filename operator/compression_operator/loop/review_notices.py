"""Reviews that do not count say so themselves, in an Event: once for each review and cause."""

import logging
from collections import OrderedDict
from typing import Final

from compression_operator.cache.cache import Cache
from compression_operator.loop.review_binding import Ignored, why_ignored
from compression_operator.queue import WorkQueue
from compression_operator.records.review import ReviewRecord
from compression_operator.telemetry import event_reasons
from compression_operator.telemetry.event_recorder import EventRecorder
from compression_operator.telemetry.notes import MAX_NOTE, EventType, Note

SETTLE: Final = 1.0
"""Seconds to wait before a look: a review and its job come by different watches, and its job may just decide."""
MAX_TOLD: Final = 16384
"""How many Events are remembered; one that is forgotten is repeated, which counts it."""

logger = logging.getLogger(__name__)


class ReviewNotices:
    """What reviewers are told about reviews that do not count. Only the leader runs it."""

    def __init__(self, cache: Cache, recorder: EventRecorder, queue: WorkQueue) -> None:
        self._cache = cache
        self._recorder = recorder
        self._queue = queue
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def run(self) -> None:
        """Look at the reviews of every job that the queue names, until cancelled."""
        while True:
            key = await self._queue.get()
            try:
                self.look(*key.split("/", 1))
            except Exception:  # a status that cannot be read must not end the leader
                logger.exception("this is a bug", extra={"job": key})
            finally:
                self._queue.done(key)

    def look(self, namespace: str, name: str) -> None:
        """Tell the reviews that name this job why they do not count, where they do not know yet."""
        job = self._cache.job_named(namespace, name)
        if job is not None and job.deleting:
            return  # its reviews go with it
        status = None if job is None else job.status()
        for review in self._cache.reviews.about(namespace, name):
            ignored = why_ignored(review, job, status)
            if ignored is not None and (review.uid, ignored.cause) not in self._told:
                self._tell(review, ignored)

    def _tell(self, review: ReviewRecord, ignored: Ignored) -> None:
        self._told[review.uid, ignored.cause] = None
        if len(self._told) > MAX_TOLD:
            self._told.popitem(last=False)
        kind: EventType = "Normal" if ignored.cause == "NotAwaited" else "Warning"
        self._recorder.record(review, Note(kind, event_reasons.REVIEW_IGNORED, ignored.text[:MAX_NOTE]))
