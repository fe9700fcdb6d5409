"""The cache is compared periodically on a leader, and shortly after a gap of a watch."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from compression_operator.cache import resync
from compression_operator.cache.resync import Resync
from compression_operator.cluster.errors import ServerTrouble
from compression_operator.process import comparing
from compression_operator.process.comparing import keep_comparing
from compression_operator.process.relists import Relists
from compression_operator.telemetry.metrics import Metrics
from tests.support.operator.control_loop import until

PATH = "/api/v1/pods"


class Comparisons:
    """Counts them; the first ones may fail."""

    def __init__(self, failures: int = 0) -> None:
        self.count = 0
        self.failures = failures

    async def missing(self) -> int:
        """Compare."""
        self.count += 1
        if self.count <= self.failures:
            raise ServerTrouble(503, "busy", request="GET", retry_after=86_400)
        return 3


@asynccontextmanager
async def running(
    comparisons: Comparisons, *, leads: bool, interval: float, soon: asyncio.Event | None = None
) -> AsyncIterator[Metrics]:
    metrics = Metrics()
    work = keep_comparing(cast(Resync, comparisons), metrics, soon or asyncio.Event(), lambda: leads, interval=interval)
    task = asyncio.create_task(work)
    try:
        yield metrics
        assert not task.done()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "PAUSE", 0.01)


def test_missed_changes_are_detected_within_a_minute() -> None:
    assert comparing.INTERVAL + resync.WATCH_LAG < 60


async def test_leader_compares_periodically() -> None:
    comparisons = Comparisons()
    async with running(comparisons, leads=True, interval=0.02) as metrics:
        await until(lambda: comparisons.count >= 3)
    assert metrics.registry.get_sample_value("compression_operator_watch_missing_objects") == 3


async def test_a_standby_compares_only_after_a_gap() -> None:
    comparisons, soon = Comparisons(), asyncio.Event()
    async with running(comparisons, leads=False, interval=0.005, soon=soon):
        await asyncio.sleep(0.05)
        assert comparisons.count == 0
        soon.set()
        await until(lambda: comparisons.count == 1)


async def test_failed_comparison_is_retried_within_the_interval() -> None:
    comparisons = Comparisons(failures=2)
    async with running(comparisons, leads=True, interval=0.02):
        await until(lambda: comparisons.count >= 4)


def test_a_kind_that_is_listed_again_is_noticed_when_its_watch_begins() -> None:
    relists = Relists()
    relists.answered("/apis", False, 200)
    relists.answered(PATH, False, 200)
    relists.answered(PATH, True, 200)
    relists.answered(PATH, True, 200)  # reconnected where it was
    assert not relists.again.is_set()
    relists.answered(PATH, False, 200)
    relists.answered(PATH, False, 200)  # two pages
    relists.answered("/api/v1/nodes", True, 200)
    relists.answered(PATH, True, 500)
    assert not relists.again.is_set()
    relists.answered(PATH, True, 200)
    assert relists.again.is_set()
