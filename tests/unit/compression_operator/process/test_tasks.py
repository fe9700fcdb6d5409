"""A task that ends also ends the process, with a reason and an exit status."""

import asyncio
import logging
import sys

import pytest

from compression_operator import __main__ as command
from compression_operator.cluster.errors import CredentialsError
from compression_operator.process.tasks import TaskEnded, run_together


class Endless:
    """A task that runs until it is cancelled, and records its end."""

    def __init__(self, ended: list[str], name: str) -> None:
        self._ended, self._name = ended, name

    async def run(self) -> None:
        """Wait to be cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            self._ended.append(self._name)


async def returns() -> None:
    return None


async def is_cancelled() -> None:
    raise asyncio.CancelledError


async def fails() -> None:
    raise ValueError("broken")


@pytest.mark.parametrize("part", [returns, is_cancelled])
async def test_task_that_ends_without_an_error_is_an_error(part: type[object]) -> None:
    ended: list[str] = []
    endless = {name: Endless(ended, name).run() for name in ("one", "two")}
    with pytest.raises(TaskEnded, match="the bad part ended without an error"):
        await asyncio.wait_for(run_together({**endless, "the bad part": part()}), timeout=10)  # type: ignore[dict-item]
    assert ended == ["one", "two"], "the others end in their order"


async def test_error_of_a_task_is_raised() -> None:
    ended: list[str] = []
    with pytest.raises(ValueError, match="broken"):
        await asyncio.wait_for(run_together({"one": Endless(ended, "one").run(), "two": fails()}), timeout=10)
    assert ended == ["one"]


async def test_cancelling_the_caller_ends_all_tasks() -> None:
    ended: list[str] = []
    task = asyncio.create_task(run_together({name: Endless(ended, name).run() for name in ("one", "two")}))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["one", "two"]


@pytest.mark.parametrize(
    "error",
    [TaskEnded("watching ended"), CredentialsError("no kubeconfig"), OSError("port in use"), asyncio.CancelledError()],
)
def test_command_fails_with_the_reason(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(*_: object) -> None:
        raise error

    monkeypatch.setattr("compression_operator.process.replica.run", run)
    monkeypatch.setattr("compression_operator.telemetry.logs.configure", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["compression-operator", "run"])
    with caplog.at_level(logging.ERROR):
        assert command.main() == 1
    assert str(error) in caplog.text
    assert caplog.records
