"""Jobs as they change, and how they end."""

import pytest

from kubectl_compress.display.live import Lines, ManyJobs, OneJob
from kubectl_compress.display.table import jobs_table
from kubectl_compress.display.terminal import span
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job
from kubectl_compress.outcome import gravest, outcome
from tests.support.screens import NOW, drawn, job, judged, notes_of, stamp, terminal, text_of


def running(progress: int, name: str = "minilm-int8", **fields: object) -> Job:
    status = {"phase": "Running", "stage": "quantize", "progress": progress, "startTime": stamp(-60), **fields}
    return job(name, status)


def test_a_line_is_said_for_what_a_person_would_see_change() -> None:
    screen = terminal()
    with Lines(screen) as lines:
        lines.show(job(status={"phase": "Pending", "message": "the Job has no pod yet"}))
        lines.show(running(35))
        lines.show(running(35, retries=1))
        lines.show(running(60))
        lines.trouble("connection refused")
        lines.trouble("connection refused")
        lines.trouble("")
        lines.show(job(status=judged(message="all 2 objectives hold")))
        lines.remove(job("other"))
    assert text_of(screen).splitlines() == [
        "minilm-int8  Pending  the Job has no pod yet",
        "minilm-int8  Running  quantize 35 %",
        "minilm-int8  Running  quantize 60 %",
        "minilm-int8  Succeeded  Pass  all 2 objectives hold",
        "other  deleted",
    ]
    assert notes_of(screen).splitlines() == ["connection lost, trying again: connection refused"]


def test_the_picture_of_a_job_has_a_bar_that_is_as_long_as_it_has_come() -> None:
    picture = OneJob(terminal(), lambda: NOW)
    assert "asking the cluster" in drawn(picture.picture(NOW))
    picture.show(running(50))
    text = drawn(picture.picture(NOW))
    assert text.startswith("minilm-int8  Running  quantize  50 %\n")
    assert text.count("━") == 24
    assert "runs for 60s" in text


def test_a_table_that_is_higher_than_the_terminal_shows_what_works_first_and_counts_the_rest() -> None:
    screen = terminal(height=10)
    picture = ManyJobs(screen, lambda: NOW, namespaces=False)
    for number in range(40):
        picture.show(job(f"done-{number}", judged()))
    picture.show(running(20, "works"))
    picture.remove(job("done-0", judged()))
    lines = drawn(picture.picture(NOW)).splitlines()
    assert lines[0] == "40 jobs  Running 1  Succeeded 39"
    assert lines[3].split()[:3] == ["works", "Running", "quantize"]
    assert lines[-1] == "and 34 more"
    assert len(lines) <= 10


def test_on_a_narrow_terminal_the_live_table_shows_less_and_cuts_no_name() -> None:
    screen = terminal(width=80)
    picture = ManyJobs(screen, lambda: NOW, namespaces=False)
    picture.show(running(20, "embeddings-of-the-night"))
    screen.out.print(picture.picture(NOW))
    lines = text_of(screen).splitlines()
    assert lines[2].split() == ["NAME", "PHASE", "DETAIL", "PROGRESS", "VERDICT"]
    assert lines[3].split()[:3] == ["embeddings-of-the-night", "Running", "quantize"]
    assert max(map(len, lines)) <= 80


def test_what_is_printed_once_is_never_cut_whatever_the_terminal() -> None:
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


def test_of_several_ends_the_gravest_counts() -> None:
    ends = [ExitCode.DONE, ExitCode.AWAITING_REVIEW, ExitCode.NOT_MET]
    assert gravest(ends) is ExitCode.NOT_MET
    assert gravest([*ends, ExitCode.NO_VERDICT]) is ExitCode.NO_VERDICT
    assert gravest([]) is ExitCode.DONE


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (119, "119s"), (120, "2m"), (200, "3m20s"), (3000, "50m"), (12000, "3h20m"), (14400, "4h"),
     (100_000, "27h"), (400_000, "4d")],
)  # fmt: skip
def test_a_length_of_time_has_one_or_two_units(seconds: float, text: str) -> None:
    assert span(seconds) == text
