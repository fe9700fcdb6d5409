"""Requests to a store are retried while their errors may pass."""

import time
from collections.abc import Callable

import pytest

from compression_runner.storage.retries import with_retries


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the pauses of a run, which takes no time."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def failing(times: int, error: BaseException) -> Callable[[], str]:
    left = [error] * times

    def attempt() -> str:
        if left:
            raise left.pop()
        return "done"

    return attempt


def breaks(error: BaseException) -> bool:
    return isinstance(error, ConnectionError)


def test_pauses_double_until_an_attempt_succeeds(pauses: list[float]) -> None:
    assert with_retries(failing(4, ConnectionError()), breaks) == "done"
    assert pauses == [0.5, 1.0, 2.0, 4.0]


def test_the_error_of_the_last_attempt_is_raised(pauses: list[float]) -> None:
    with pytest.raises(ConnectionError, match="broken"):
        with_retries(failing(5, ConnectionError("broken")), breaks)
    assert len(pauses) == 4


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_other_errors_are_not_retried(error: BaseException, pauses: list[float]) -> None:
    with pytest.raises(type(error)):
        with_retries(failing(1, error), breaks)
    assert pauses == []


def test_a_slow_attempt_is_not_retried_unless_time_is_unlimited(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConnectionError):
        with_retries(failing(1, ConnectionError()), breaks, give_up_after=0.0)
    assert pauses == []
    assert with_retries(failing(1, ConnectionError()), breaks, give_up_after=None) == "done"
