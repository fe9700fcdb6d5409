"""The channel to one receiver, with a queue of its own, so that a slow or dead receiver delays no other."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import aiohttp

from compression_operator.cache.cache import Cache
from compression_operator.notifications.backoff import FIRST_PAUSE, LONGEST_PAUSE, ReceiverBackoff
from compression_operator.notifications.receivers import Receiver
from compression_operator.notifications.sending import Failure, send, too_old
from compression_operator.queue import WorkQueue
from compression_operator.records.delivery import Delivery, NotificationKey
from compression_operator.records.job import JobRecord
from compression_operator.telemetry.metrics import Metrics

SENDERS: Final = 8
"""Maximum concurrent requests to one receiver."""
RESULTS: Final = ("delivered", "retried", "dropped")

Keys = frozenset[NotificationKey]

logger = logging.getLogger(__name__)


class Channel:
    """Sends the pending notifications of one receiver, job by job, until they are delivered or too old.

    Only the keys of pending notifications are in memory: the content is read from the job's status at each attempt.
    ``ended`` is called with each notification that was delivered or dropped, ``passed`` with each processed job.
    """

    def __init__(
        self,
        name: str,
        receiver: Receiver,
        *,
        source: str,
        cache: Cache,
        metrics: Metrics,
        ended: Callable[[str, Delivery], None],
        passed: Callable[[str], None],
    ) -> None:
        self._name = name
        self._receiver = receiver
        self._source = source
        self._cache = cache
        self._counts = {result: metrics.notifications.labels(name, result) for result in RESULTS}
        self._ended = ended
        self._passed = passed
        self._queue = WorkQueue(first_backoff=FIRST_PAUSE, longest_backoff=LONGEST_PAUSE)
        self._backoff = ReceiverBackoff(first=FIRST_PAUSE, longest=LONGEST_PAUSE)
        self._pending: dict[str, Keys] = {}

    def offer(self, uid: str, keys: Keys) -> None:
        """Send these notifications of a job; some of them may already be queued."""
        if not keys <= self._pending.get(uid, frozenset()):
            self._queue.add(uid)
        if keys:
            self._pending[uid] = keys
        else:
            self._pending.pop(uid, None)

    def forget(self, uid: str) -> None:
        """Drop the pending notifications of a deleted job."""
        self._counts["dropped"].inc(len(self._pending.pop(uid, ())))

    async def run(self, session: aiohttp.ClientSession) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(SENDERS):
                group.create_task(self._work(session))

    async def _work(self, session: aiohttp.ClientSession) -> None:
        while True:
            uid = await self._queue.get()
            try:
                await self._pass(session, uid)
            except Exception:
                # A bug here must not end the control loop.
                self._queue.retry(uid)
                logger.exception("this is a bug", extra={"job": uid})
            finally:
                self._queue.done(uid)

    async def _pass(self, session: aiohttp.ClientSession, uid: str) -> None:
        """Send the pending notifications of one job in order; the first failure ends the pass."""
        job = self._cache.job(uid)
        for key in () if job is None else job.unsent:
            began = await self._backoff.wait()
            job = self._cache.job(uid)
            if job is None or key not in self._pending.get(uid, ()):
                continue
            failure = await send(session, self._receiver, job, job.status(), key, self._source)
            if failure is not None and not self._give_up(job, key, failure):
                self._try_again(job, failure, began)
                break
            if failure is None:
                self._backoff.succeeded()
                self._end(uid, Delivery(key, "Delivered", datetime.now(UTC)))
        else:
            self._queue.forget(uid)
        self._passed(uid)

    def _give_up(self, job: JobRecord, key: NotificationKey, failure: Failure) -> bool:
        now = datetime.now(UTC)
        if not failure.final and not too_old(key, now):
            return False
        text = f"the receiver {self._name} did not get the notification {key[1]} ({key[2]}): {failure.text}"
        logger.warning("notification dropped: %s", text, extra=job.log_fields)
        self._end(job.uid, Delivery(key, "Dropped", now, text))
        return True

    def _try_again(self, job: JobRecord, failure: Failure, began: float) -> None:
        self._counts["retried"].inc()
        delay = self._queue.retry(job.uid, min(failure.retry_after, LONGEST_PAUSE))
        pause = self._backoff.failed(began, failure.retry_after)
        if pause is not None:
            logger.warning("receiver %s: paused for %.1f s: %s", self._name, pause, failure.text, extra=job.log_fields)
        else:
            logger.debug("receiver %s: retry in %.1f s: %s", self._name, delay, failure.text, extra=job.log_fields)

    def _end(self, uid: str, delivery: Delivery) -> None:
        self._counts[delivery.result.lower()].inc()
        left = self._pending.get(uid, frozenset()) - {delivery.key}
        if left:
            self._pending[uid] = left
        else:
            self._pending.pop(uid, None)
        self._ended(uid, delivery)
