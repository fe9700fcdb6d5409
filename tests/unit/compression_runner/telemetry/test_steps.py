"""The steps of a run: the order, progress, and marks of failures."""

import io

import pytest
from rich.console import Console

from compression_runner.telemetry.console import ConsoleListener
from compression_runner.telemetry.phase import Phase
from compression_runner.telemetry.progress import RunProgress

PHASES = [Phase("fetch", "", 5), Phase("data", "", 2), Phase("int8", "quantize", 3), Phase("measure", "", 60)]


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def steps(progress: RunProgress) -> list[tuple[str, str]]:
    return [(step.title, step.state) for step in progress.snapshot().steps]


def test_the_steps_are_those_that_run() -> None:
    progress = RunProgress()
    with progress.phase("preflight"):
        pass
    progress.expect(PHASES)
    with progress.phase("int8", "quantize"):
        pass
    with progress.phase("fetch"):  # the baseline's, which no checkpoint has
        assert steps(progress) == [
            ("preflight", "Done"), ("data", "Skipped"), ("int8", "Done"), ("fetch", "Running"), ("measure", "Pending")
        ]  # fmt: skip
    assert progress.failed == ""


def test_the_innermost_step_that_fails_is_named_and_both_are_marked() -> None:
    progress = RunProgress()
    progress.expect([Phase("taught", "distill", 60), Phase("measure", "", 60)])
    with pytest.raises(OSError, match="gone"), progress.phase("taught", "distill"), progress.phase("fetch"):
        raise OSError("gone")
    assert progress.failed == "fetch"
    assert steps(progress) == [("taught", "Failed"), ("fetch", "Failed"), ("measure", "Pending")]


def test_a_step_without_progress_advances_by_its_usual_time() -> None:
    clock = Clock()
    progress = RunProgress(clock=clock)
    progress.expect([Phase("export", "export", 50), Phase("measure", "", 50)])
    seen = []
    with progress.phase("export", "export"):
        for clock.now in (0.0, 10.0, 30.0, 60.0, 10_000.0):
            seen.append(progress.snapshot().percent)
            assert progress.snapshot().fraction == 0.0
    assert seen == sorted(set(seen))
    assert seen[-1] == 47
    assert progress.snapshot().percent == 50


def test_unexpected_work_does_not_lower_the_progress() -> None:
    progress = RunProgress(clock=Clock())
    progress.expect([Phase("measure", "", 95), Phase("publish", "", 5)])
    with progress.phase("measure"):
        pass
    assert progress.snapshot().percent == 95
    progress.expect([Phase("measure prune", "", 95), Phase("publish", "", 5)])
    with progress.phase("measure prune") as advance:
        assert progress.snapshot().fraction == pytest.approx(0.95)
        advance(0.5, "")
        assert progress.snapshot().fraction == pytest.approx(0.95 + 0.05 * 0.475)
    progress.finish()
    assert progress.snapshot().percent == 100


def test_the_console_marks_the_step_that_failed() -> None:
    out = io.StringIO()
    bars = ConsoleListener(Console(file=out, force_terminal=True, color_system=None, width=100))
    progress = RunProgress([bars])
    progress.expect(PHASES)
    with progress.phase("fetch"):
        pass
    with pytest.raises(OSError, match="gone"), progress.phase("int8", "quantize"):
        raise OSError("gone")
    bars.close()
    drawn = [line for line in out.getvalue().splitlines() if "int8" in line][-1]
    assert "✗ int8" in drawn
    assert "failed" in drawn
    assert "✗ fetch" not in out.getvalue()
