"""Events on reviews that do not count: one for each review and cause."""

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
"""Seconds to wait before a check: a review and its job arrive by different watches, and the job may just decide."""
MAX_REPORTED: Final = 16384
"""Maximum number of remembered Events; a forgotten one is sent again and increases its count."""

logger = logging.getLogger(__name__)


class ReviewNotices:
    """Reports to reviewers about reviews that do not count. Only the leader runs it."""

    def __init__(self, cache: Cache, recorder: EventRecorder, queue: WorkQueue) -> None:
        self._cache = cache
        self._recorder = recorder
        self._queue = queue
        self._reported: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def run(self) -> None:
        """Check the reviews of each job in the queue, until cancelled."""
        while True:
            key = await self._queue.get()
            try:
                self.check(*key.split("/", 1))
            except Exception:  # a status that cannot be read must not end the leader
                logger.exception("this is a bug", extra={"job": key})
            finally:
                self._queue.done(key)

    def check(self, namespace: str, name: str) -> None:
        """Report on each review of this job why it does not count, once for each cause."""
        job = self._cache.job_named(namespace, name)
        if job is not None and job.deleting:
            return  # its reviews are deleted with it
        status = None if job is None else job.status()
        for review in self._cache.reviews.about(namespace, name):
            ignored = why_ignored(review, job, status)
            if ignored is not None and (review.uid, ignored.cause) not in self._reported:
                self._report(review, ignored)

    def _report(self, review: ReviewRecord, ignored: Ignored) -> None:
        self._reported[review.uid, ignored.cause] = None
        if len(self._reported) > MAX_REPORTED:
            self._reported.popitem(last=False)
        kind: EventType = "Normal" if ignored.cause == "NotAwaited" else "Warning"
        self._recorder.record(review, Note(kind, event_reasons.REVIEW_IGNORED, ignored.text[:MAX_NOTE]))
