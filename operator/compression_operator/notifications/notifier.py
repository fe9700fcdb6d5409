"""The interface between the control loop and notifications: receivers, pending notifications and outcomes.

Pending notifications are in the statuses. The control loop calls ``update`` after each reconcile. Outcomes go back
through the work queue into the status, since only reconcile writes it. All other state is in memory, and the next
leader rebuilds it.
"""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Final

import aiohttp

from compression_operator.cache.cache import Cache
from compression_operator.cache.observed_job import ObservedJob
from compression_operator.notifications.channel import Channel
from compression_operator.notifications.receivers import Receivers
from compression_operator.queue import WorkQueue
from compression_operator.records.delivery import Delivery, NotificationKey
from compression_operator.telemetry.metrics import Metrics

USER_AGENT: Final = "compression-operator"
MAX_WAITING: Final = 16
"""Maximum number of waiting jobs at which an outcome is queued for its status: other jobs come first."""
MAX_YIELD: Final = 5.0
YIELD_POLL: Final = 0.05


class Notifier:
    """The channels to all receivers. Only the leader runs them."""

    def __init__(self, receivers: Receivers, cache: Cache, work: WorkQueue, metrics: Metrics) -> None:
        self._subscriptions = receivers.subscriptions
        self._receivers = receivers
        self._cache = cache
        self._work = work
        self._metrics = metrics
        self._reset()

    def _reset(self) -> None:
        self._outcomes: dict[str, dict[NotificationKey, Delivery]] = {}
        self._to_write = WorkQueue()
        self._channels = {
            name: Channel(
                name,
                receiver,
                source=self._receivers.source,
                cache=self._cache,
                metrics=self._metrics,
                ended=self._note,
                passed=self._write,
            )
            for name, receiver in self._receivers.receivers.items()
        }

    def inform(self, observed: ObservedJob) -> ObservedJob:
        """Add the receivers, and the outcomes of the job's notifications that its status may not have yet."""
        deliveries = tuple(self._outcomes.get(observed.job.uid, {}).values())
        return replace(observed, receivers=self._subscriptions, deliveries=deliveries)

    def update(self, uid: str) -> None:
        """Read a job that was just reconciled, and begin to send its pending notifications."""
        job = self._cache.job(uid)
        if job is None:
            self._outcomes.pop(uid, None)
            for channel in self._channels.values():
                channel.forget(uid)
            return
        outcomes = self._unwritten(uid, job.unsent)
        for name in {receiver for receiver, _, _ in job.unsent} & self._channels.keys():
            pending = frozenset(key for key in job.unsent if key[0] == name and key not in outcomes)
            self._channels[name].offer(uid, pending)

    def pending(self) -> Counter[str]:
        """Return the number of pending notifications of each receiver, by its name."""
        counts = Counter(dict.fromkeys(self._channels, 0))
        for uid in self._cache.uids():
            job, outcomes = self._cache.job(uid), self._outcomes.get(uid, {})
            if job is not None:
                counts.update(key[0] for key in job.unsent if key[0] in self._channels and key not in outcomes)
        return counts

    async def run(self) -> None:
        """Send until cancelled, then forget all state: the next leader reads all jobs."""
        # No cookies, and no proxies or passwords from the environment or from files of the machine.
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
        )
        try:
            async with session, asyncio.TaskGroup() as group:
                group.create_task(self._queue_outcomes())
                for channel in self._channels.values():
                    group.create_task(channel.run(session))
        finally:
            self._reset()

    async def _queue_outcomes(self) -> None:
        """Queue jobs whose outcomes must be written, one at a time, while few jobs wait for a worker."""
        while True:
            uid = await self._to_write.get()
            waited = 0.0
            while len(self._work) >= MAX_WAITING and waited < MAX_YIELD:
                await asyncio.sleep(YIELD_POLL)
                waited += YIELD_POLL
            self._work.add(uid)
            self._to_write.done(uid)

    def _note(self, uid: str, delivery: Delivery) -> None:
        self._outcomes.setdefault(uid, {})[delivery.key] = delivery

    def _write(self, uid: str) -> None:
        if uid in self._outcomes:
            self._to_write.add(uid)

    def _unwritten(self, uid: str, unsent: tuple[NotificationKey, ...]) -> dict[NotificationKey, Delivery]:
        """Return the outcomes of a job that are not in its status yet."""
        outcomes = {key: item for key, item in self._outcomes.get(uid, {}).items() if key in unsent}
        if outcomes:
            self._outcomes[uid] = outcomes
        else:
            self._outcomes.pop(uid, None)
        return outcomes
