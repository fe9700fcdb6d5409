"""Steps run in parallel, and in order if one needs another."""

import threading

import pytest

from localcluster import progress
from localcluster.errors import LocalClusterError
from localcluster.steps import Steps

WAIT = 30.0


@pytest.fixture(autouse=True)
def report_quick_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUICK", -1.0)


def test_independent_steps_run_in_parallel(capsys: pytest.CaptureFixture[str]) -> None:
    meeting = threading.Barrier(3)
    with Steps() as steps:
        for name in ("one", "two", "three"):
            steps.add(name, lambda: meeting.wait(WAIT))
    printed = capsys.readouterr().out
    assert sorted(line.split()[:2] for line in printed.splitlines()) == [["ok", "one"], ["ok", "three"], ["ok", "two"]]


def test_a_step_starts_after_the_steps_that_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[str] = []
    gate = threading.Event()
    with Steps() as steps:
        first = steps.add("first", lambda: (gate.wait(WAIT), done.append("first")))
        second = steps.add("second", lambda: done.append("second"))
        steps.add("third", lambda: done.append("third"), after=(first, second), slow="minutes")
        second.result(WAIT)
        gate.set()
    assert done == ["second", "first", "third"]
    printed = capsys.readouterr().out.splitlines()
    assert printed.index("  ...  third (minutes)") > [line.startswith("  ok   first") for line in printed].index(True)


def test_dependents_of_a_failed_step_do_not_start_and_the_others_end(capsys: pytest.CaptureFixture[str]) -> None:
    done: list[str] = []

    def fail() -> None:
        raise LocalClusterError("no network")

    def run() -> None:
        with Steps() as steps:
            broken = steps.add("broken", fail)
            steps.add("needs it", lambda: done.append("needs it"), after=(broken,))
            steps.add("other", lambda: done.append("other"))

    with pytest.raises(LocalClusterError, match="no network"):
        run()
    assert done == ["other"]
    printed = capsys.readouterr().out
    assert "FAILED broken" in printed
    assert "needs it" not in printed


def test_a_quick_step_is_not_reported(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUICK", WAIT)
    with Steps() as steps:
        steps.add("quick", lambda: None)
        steps.add("announced", lambda: None, slow="minutes")
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "  ...  announced (minutes)"
    assert [line.split()[:2] for line in printed[1:]] == [["ok", "announced"]]
