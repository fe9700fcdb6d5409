"""The controller and a quota: jobs in one namespace, of which none gets its Job."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from compression_operator.cache.cache import Cache
from compression_operator.cluster.resources import COMPRESSION_JOBS, JOBS, RUNTIMES
from compression_operator.loop.admission import FIRST_PAUSE, Admission
from compression_operator.queue import WorkQueue
from compression_operator.telemetry.metrics import Metrics
from tests.support.operator.builders import after, raw_job, stamp
from tests.support.operator.control_loop import until
from tests.support.operator.fake_client import FakeClient, controller, refused
from tests.support.operator.raw import raw_runtime

MANY = 400
FEW = 12


class FullNamespace:
    """A controller at work on jobs whose Jobs a quota refuses, unless a test makes room."""

    def __init__(self) -> None:
        self.seconds, self.wakes = 0.0, dict[str, float]()
        self.queue, self.metrics = WorkQueue(), Metrics()
        self.room = 0
        self.client = FakeClient(jobs=lambda manifest: None if self._take() else refused(403, self._words(manifest)))
        self.admission = Admission(
            self._wake, clock=lambda: self.seconds, now=lambda: after(self.seconds), jitter=lambda: 1.0
        )
        self.cache = Cache(self.queue.add, self.admission.release)
        self.controller = controller(
            self.client, self.cache, self.queue, self.admission, lambda: after(self.seconds), self.metrics
        )
        self.cache.put(RUNTIMES, raw_runtime())

    def _take(self) -> bool:
        self.room -= 1
        return self.room >= 0

    def _words(self, manifest: object) -> str:
        name = manifest["metadata"]["name"]  # type: ignore[index]
        return f'jobs.batch "{name}" is forbidden: exceeded quota: q, used: count/jobs.batch={len(self.client.created)}'

    def _wake(self, uid: str, delay: float) -> None:
        self.wakes[uid] = self.seconds + delay

    def apply(self, number: int) -> None:
        raw = raw_job(name=f"job-{number}")
        raw["metadata"] |= {"uid": uid(number), "creationTimestamp": stamp(number)}
        self.cache.put(COMPRESSION_JOBS, raw)

    def looks(self) -> float:
        name = "compression_operator_reconcile_seconds_count"
        counts = [self.metrics.registry.get_sample_value(name, {"outcome": it}) for it in ("changed", "unchanged")]
        return sum(value or 0 for value in counts)

    async def look(self, *numbers: int) -> None:
        """Reconcile jobs, and wait for the end."""
        before = self.looks()
        for number in numbers:
            self.queue.add(uid(number))
        await until(lambda: self.looks() >= before + len(numbers))

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.controller.run(4))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def uid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000001"


@pytest.fixture
async def full(request: pytest.FixtureRequest) -> AsyncIterator[FullNamespace]:
    namespace, count = FullNamespace(), getattr(request, "param", FEW)
    for number in range(count):
        namespace.apply(number)
    async with namespace.working():
        await until(lambda: namespace.looks() >= count)
        yield namespace


@pytest.mark.parametrize("full", [MANY], indirect=True)
async def test_each_job_is_offered_once_and_then_in_turn(full: FullNamespace) -> None:
    created, offered = full.client.created, full.client.offered
    assert (len(created), len(offered)) == (MANY, MANY)
    await full.look(*range(MANY))
    assert (len(created), len(offered)) == (MANY, MANY)
    assert "exceeded quota: q" in full.client.stored["job-7"]["message"]
    assert full.wakes[uid(0)] == FIRST_PAUSE
    full.seconds = FIRST_PAUSE
    await full.look(*reversed(range(MANY)))
    assert created[MANY:] == [f"job-0-{uid(0)[:8]}"]
    assert full.wakes[uid(1)] == 3 * FIRST_PAUSE


async def test_ended_or_deleted_child_admits_the_first_job(full: FullNamespace) -> None:
    full.seconds, full.room = 1.0, 1
    child = {
        "metadata": {"name": "a", "namespace": "default", "uid": "a", "resourceVersion": "1"},
        "spec": {},
        "status": {},
    }
    full.cache.put(JOBS, child)
    await full.look(*range(3))
    assert len(full.client.created) == FEW
    child["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
    child["metadata"] |= {"resourceVersion": "2"}
    full.cache.put(JOBS, child)
    assert full.wakes[uid(0)] == 1.0
    await full.look(0, 2)
    assert full.client.created[FEW:] == [f"job-0-{uid(0)[:8]}"]
    assert full.client.stored["job-0"]["childJob"]
    assert full.wakes[uid(1)] == 1.0  # success: the next one at once
    await full.look(1)
    full.wakes.clear()
    full.cache.drop(JOBS, child["metadata"])
    assert full.wakes == {uid(2): 1.0}


async def test_suspended_or_deleted_job_leaves_the_group(full: FullNamespace) -> None:
    full.cache.drop(COMPRESSION_JOBS, {"uid": uid(0)})
    deleting = raw_job(name="job-1", deleting=True)
    deleting["metadata"] |= {"uid": uid(1), "resourceVersion": "9000"}
    full.cache.put(COMPRESSION_JOBS, deleting)
    queued = raw_job(name="job-2", spec__suspend=True, labels={"kueue.x-k8s.io/queue-name": "q"}, generation=2)
    queued["metadata"] |= {"uid": uid(2), "resourceVersion": "9000"}
    full.cache.put(COMPRESSION_JOBS, queued)
    await until(lambda: len(full.admission) == FEW - 3)
    assert uid(3) in full.wakes
    assert len(full.client.created) == FEW
