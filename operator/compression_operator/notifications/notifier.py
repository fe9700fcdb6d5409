"""Notifications as the control loop sees them: whom to tell, what is owed, and what became of it.

What is owed stands in the statuses. The control loop shows every job that it has looked at; what a receiver took or
what was given up goes back through the work queue into the status, since only reconcile writes it. Everything else is
in memory, and is found again by the next leader.
"""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Final

import aiohttp

from compression_operator.cache.cache import Cache
from compression_operator.cache.observed import Observed
from compression_operator.notifications.channel import Channel
from compression_operator.notifications.receivers import Receivers
from compression_operator.queue import WorkQueue
from compression_operator.records.delivery import Delivery, NotificationKey
from compression_operator.telemetry.metrics import Metrics

USER_AGENT: Final = "compression-operator"
HANDED_BACK: Final = 16
"""Most jobs that wait for a worker when one more is handed back: others wait for no more than these."""
COURTESY: Final = 5.0
COURTESY_LOOK: Final = 0.05


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

    def inform(self, observed: Observed) -> Observed:
        """Add who can be told, and what became of the job's notifications and may not stand in its status yet."""
        deliveries = tuple(self._outcomes.get(observed.job.uid, {}).values())
        return replace(observed, receivers=self._subscriptions, deliveries=deliveries)

    def show(self, uid: str) -> None:
        """Look at a job that has just been brought forward, and begin to send what it owes."""
        job = self._cache.job(uid)
        if job is None:
            self._outcomes.pop(uid, None)
            for channel in self._channels.values():
                channel.forget(uid)
            return
        outcomes = self._known(uid, job.unsent)
        for name in {receiver for receiver, _, _ in job.unsent} & self._channels.keys():
            owed = frozenset(key for key in job.unsent if key[0] == name and key not in outcomes)
            self._channels[name].offer(uid, owed)

    def pending(self) -> Counter[str]:
        """How many notifications each receiver is owed, by its name."""
        found = Counter(dict.fromkeys(self._channels, 0))
        for uid in self._cache.uids():
            job, outcomes = self._cache.job(uid), self._outcomes.get(uid, {})
            if job is not None:
                found.update(key[0] for key in job.unsent if key[0] in self._channels and key not in outcomes)
        return found

    async def run(self) -> None:
        """Send until cancelled, and then know of nothing: whoever leads next is shown every job."""
        # No cookies, no proxies or passwords from the environment or from a file of the machine.
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
        )
        try:
            async with session, asyncio.TaskGroup() as group:
                group.create_task(self._hand_back())
                for channel in self._channels.values():
                    group.create_task(channel.run(session))
        finally:
            self._reset()

    async def _hand_back(self) -> None:
        """Ask for statuses to be written, a few at a time and while few jobs wait for a worker."""
        while True:
            uid = await self._to_write.get()
            waited = 0.0
            while len(self._work) >= HANDED_BACK and waited < COURTESY:
                await asyncio.sleep(COURTESY_LOOK)
                waited += COURTESY_LOOK
            self._work.add(uid)
            self._to_write.done(uid)

    def _note(self, uid: str, delivery: Delivery) -> None:
        self._outcomes.setdefault(uid, {})[delivery.key] = delivery

    def _write(self, uid: str) -> None:
        if uid in self._outcomes:
            self._to_write.add(uid)

    def _known(self, uid: str, unsent: tuple[NotificationKey, ...]) -> dict[NotificationKey, Delivery]:
        """The outcomes of a job, less those that stand in its status."""
        outcomes = {key: item for key, item in self._outcomes.get(uid, {}).items() if key in unsent}
        if outcomes:
            self._outcomes[uid] = outcomes
        else:
            self._outcomes.pop(uid, None)
        return outcomes
