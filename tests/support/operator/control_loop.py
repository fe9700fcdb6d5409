"""A notifier beside a control loop without an API server: statuses are written into the cache."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from compression_operator.cache.cache import Cache
from compression_operator.cluster.resources import COMPRESSION_JOBS
from compression_operator.loop.reconcile import reconcile
from compression_operator.notifications.notifier import Notifier
from compression_operator.notifications.receivers import Receivers
from compression_operator.queue import WorkQueue
from compression_operator.telemetry.metrics import Metrics, PendingNotifications
from compression_operator.telemetry.notes import Note
from compressionjob.status import CompressionJobStatus
from tests.support.operator.builders import raw_job


class ControlLoop:
    """Jobs in a cache, and the notifier that sends their events."""

    def __init__(self, **receivers: dict[str, Any]) -> None:
        self.metrics, self.work = Metrics(), WorkQueue()
        self.cache = Cache(self.work.add)
        parsed = Receivers.model_validate({"receivers": receivers})
        self.notifier = Notifier(parsed, self.cache, self.work, self.metrics)
        self.metrics.registry.register(PendingNotifications(self.notifier.pending))
        self.notes: list[Note] = []

    def end_job(self, uid: str, *receivers: str, events: tuple[str, ...] = ("Completed",), time: str = "") -> None:
        """Store a job that ended just now, or at ``time``, with pending events for these receivers."""
        time = time or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        entries = [{"receiver": name, "event": event, "time": time} for name in receivers for event in events]
        complete = {"type": "Complete", "status": "True", "reason": "SLAMet", "lastTransitionTime": time}
        raw = raw_job(
            status={"phase": "Succeeded", "observedGeneration": 1, "notifications": entries, "conditions": [complete]}
        )
        raw["metadata"] |= {"uid": uid, "name": uid}
        self.cache.put(COMPRESSION_JOBS, raw)

    def status(self, uid: str) -> CompressionJobStatus:
        """A job's status as it was written last."""
        job = self.cache.job(uid)
        assert job is not None
        return job.status()

    def results(self, uid: str) -> list[str | None]:
        """Return the outcomes of a job's notifications."""
        return [item.result for item in self.status(uid).notifications]

    def count(self, receiver: str, result: str) -> float:
        """The metric of notifications that had this result."""
        labels = {"receiver": receiver, "result": result}
        return self.metrics.registry.get_sample_value("compression_operator_notifications_total", labels) or 0

    def pending(self, receiver: str) -> float | None:
        """Return the metric of pending notifications."""
        name = "compression_operator_notifications_pending"
        return self.metrics.registry.get_sample_value(name, {"receiver": receiver})

    async def _work(self) -> None:
        while True:
            uid = await self.work.get()
            observed = self.cache.observe(uid)
            if observed is not None:
                plan = reconcile(self.notifier.inform(observed), datetime.now(UTC))
                self.notes.extend(plan.events)
                if plan.status is not None:
                    metadata = {"resourceVersion": str(observed.job.version + 1)}
                    self.cache.wrote_status(observed.job, metadata, plan.status)
            self.notifier.update(uid)
            self.work.done(uid)

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[None]:
        """Work and send while the block runs, beginning with a look at every job."""
        for uid in self.cache.uids():
            self.work.add(uid)
        tasks = [asyncio.create_task(self._work()), asyncio.create_task(self.notifier.run())]
        try:
            yield
            assert not any(task.done() for task in tasks), [task for task in tasks if task.done()]
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task


async def until(holds: Callable[[], object], seconds: float = 60) -> None:
    """Wait until something holds; fails when it never does."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
