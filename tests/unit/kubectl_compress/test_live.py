"""Live display of jobs, and exit statuses."""

import pytest

from kubectl_compress.display.live import Lines, ManyJobs, OneJob
from kubectl_compress.display.table import jobs_table
from kubectl_compress.display.terminal import span
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job
from kubectl_compress.outcome import most_severe, outcome
from tests.support.screens import NOW, drawn, job, judged, notes_of, stamp, terminal, text_of


def running(progress: int, name: str = "minilm-int8", **fields: object) -> Job:
    status = {"phase": "Running", "stage": "quantize", "progress": progress, "startTime": stamp(-60), **fields}
    return job(name, status)


def test_line_is_printed_for_each_visible_change() -> None:
    screen = terminal()
    with Lines(screen) as lines:
        lines.show(job(status={"phase": "Pending", "message": "the Job has no pod yet"}))
        lines.show(running(35))
        lines.show(running(35, retries=1))
        lines.show(running(60))
        lines.connection_error("connection refused")
        lines.connection_error("connection refused")
        lines.connection_error("")
        lines.show(job(status=judged(message="all 2 limits hold")))
        lines.remove(job("other"))
    assert text_of(screen).splitlines() == [
        "minilm-int8  Pending  the Job has no pod yet",
        "minilm-int8  Running  quantize 35 %",
        "minilm-int8  Running  quantize 60 %",
        "minilm-int8  Succeeded  Pass  all 2 limits hold",
        "other  deleted",
    ]
    assert notes_of(screen).splitlines() == ["connection lost, reconnecting: connection refused"]


def test_live_display_has_a_progress_bar() -> None:
    picture = OneJob(terminal(), lambda: NOW)
    assert "reading the cluster" in drawn(picture.render(NOW))
    picture.show(running(50))
    text = drawn(picture.render(NOW))
    assert text.startswith("minilm-int8  Running  quantize  50 %\n")
    assert text.count("━") == 24
    assert "runs for 60s" in text


def test_long_live_table_shows_running_jobs_first() -> None:
    screen = terminal(height=10)
    picture = ManyJobs(screen, lambda: NOW, namespaces=False)
    for number in range(40):
        picture.show(job(f"done-{number}", judged()))
    picture.show(running(20, "works"))
    picture.remove(job("done-0", judged()))
    lines = drawn(picture.render(NOW)).splitlines()
    assert lines[0] == "40 jobs  Running 1  Succeeded 39"
    assert lines[3].split()[:3] == ["works", "Running", "quantize"]
    assert lines[-1] == "and 34 more"
    assert len(lines) <= 10


def test_on_a_narrow_terminal_the_live_table_shows_less_and_cuts_no_name() -> None:
    screen = terminal(width=80)
    picture = ManyJobs(screen, lambda: NOW, namespaces=False)
    picture.show(running(20, "embeddings-of-the-night"))
    screen.out.print(picture.render(NOW))
    lines = text_of(screen).splitlines()
    assert lines[2].split() == ["NAME", "PHASE", "DETAIL", "PROGRESS", "VERDICT"]
    assert lines[3].split()[:3] == ["embeddings-of-the-night", "Running", "quantize"]
    assert max(map(len, lines)) <= 80


def test_static_table_is_never_cut() -> None:
    screen = terminal(width=40)
    name = "embeddings-of-the-night-before-last"
    screen.show(jobs_table([job(name, judged(sizeRatio="0.2512"))], NOW, namespaces=False))
    assert text_of(screen).splitlines()[1].split() == [name, "Succeeded", "100", "%", "Pass", "0.2512", "2m"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, None),
        ({"phase": "Running"}, None),
        ({"phase": "Suspended"}, None),
        (judged(), ExitCode.DONE),
        (judged("NoLimits"), ExitCode.DONE),
        (judged("Fail"), ExitCode.NOT_MET),  # published because of onViolation: Alert
        (judged("Inconclusive", review={"decision": "Approve"}), ExitCode.DONE),
        (judged("Inconclusive", "Failed"), ExitCode.NOT_MET),
        (judged("Pass", "Failed", review={"decision": "Reject"}), ExitCode.NOT_MET),
        ({"phase": "Failed"}, ExitCode.NO_VERDICT),
        (judged(phase="AwaitingReview"), ExitCode.AWAITING_REVIEW),
        (judged(phase="Running", review={"decision": "Approve"}), None),
    ],
)
def test_an_end_has_an_exit_status(status: dict[str, object], expected: ExitCode | None) -> None:
    assert outcome(job(status=status)) is expected


def test_most_severe_outcome_counts() -> None:
    ends = [ExitCode.DONE, ExitCode.AWAITING_REVIEW, ExitCode.NOT_MET]
    assert most_severe(ends) is ExitCode.NOT_MET
    assert most_severe([*ends, ExitCode.NO_VERDICT]) is ExitCode.NO_VERDICT
    assert most_severe([]) is ExitCode.DONE


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (119, "119s"), (120, "2m"), (200, "3m20s"), (3000, "50m"), (12000, "3h20m"), (14400, "4h"),
     (100_000, "27h"), (400_000, "4d")],
)  # fmt: skip
def test_a_length_of_time_has_one_or_two_units(seconds: float, text: str) -> None:
    assert span(seconds) == text
