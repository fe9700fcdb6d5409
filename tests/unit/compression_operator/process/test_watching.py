"""The watches restart after any end, with backoff, and restarts are counted."""

import asyncio
import contextlib
import logging

import pytest

from compression_operator.cluster.errors import Unreachable
from compression_operator.process import watching
from compression_operator.process.watching import keep_watching, settings
from compression_operator.telemetry.metrics import Metrics


class Watches:
    """Watches that end at once, each time in another way, and then hold."""

    def __init__(self, *ends: Exception | None) -> None:
        self._ends = list(ends)
        self.hold = asyncio.Event()

    async def begin(self) -> None:
        """Watch."""
        if not self._ends:
            self.hold.set()
            await asyncio.Event().wait()
        end = self._ends.pop(0)
        if end is not None:
            raise end


async def test_watches_restart_after_any_end(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(watching, "FIRST_BACKOFF", 0.001)
    metrics, watches = Metrics(), Watches(ValueError("500"), None, Unreachable("no API server"), KeyError("code"))
    task = asyncio.create_task(keep_watching(watches.begin, metrics))
    with caplog.at_level(logging.ERROR):
        await asyncio.wait_for(watches.hold.wait(), timeout=10)
    assert metrics.registry.get_sample_value("compression_operator_watch_restarts_total") == 4
    assert all(cause in caplog.text for cause in ("500", "without an error", "no API server", "'code'"))
    assert not task.done()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_the_pauses_grow_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    done = asyncio.Event()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            done.set()
            await asyncio.Event().wait()

    monkeypatch.setattr("compression_operator.process.watching.asyncio.sleep", sleep)
    monkeypatch.setattr("compression_operator.process.watching.random.uniform", lambda _, most: most)
    task = asyncio.create_task(keep_watching(Watches(*[None] * 8).begin, Metrics()))
    await asyncio.wait_for(done.wait(), timeout=10)
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def test_kopf_has_no_exit_timeout() -> None:
    assert settings().process.ultimate_exiting_timeout is None
