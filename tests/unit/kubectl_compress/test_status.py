"""The display of one job in full, and of all jobs in a table."""

import pytest

from kubectl_compress.display.detail import headline, job_detail, steps_line
from kubectl_compress.display.table import jobs_table
from tests.support.screens import NOW, condition, drawn, job, judged, stamp

SENTENCE = "1 limit is broken: latency is 30.7ms (29.8ms to 32.8ms), limit at most 20ms"


STEPS = [
    {"title": "preflight", "state": "Done"}, {"title": "fetch", "state": "Skipped"},
    {"title": "convert", "state": "Done"}, {"title": "measure", "state": "Failed"},
    {"title": "publish", "state": "SomethingNew"},
]  # fmt: skip


def test_sentence_is_shown_once() -> None:
    status = judged(
        "Fail",
        "Failed",
        anomalies=["slower than the baseline"],
        completionTime=stamp(-10),
        message=f"{SENTENCE}; nothing was published; see the report",
        conditions=[
            condition("Accepted", "True", "Valid", "the specification is valid"),
            condition("Scheduled", "False", "WaitingForPod", "the next pod is being created"),
            condition("SLASatisfied", "False", "Fail", SENTENCE),
            condition("AsPromised", "False", "PromiseBroken", "slower than the baseline"),
            condition("Complete", "False", "SLAViolated", f"{SENTENCE}; nothing was published; see the report"),
            condition("Failed", "True", "SLAViolated", f"{SENTENCE}; nothing was published; see the report"),
        ],
    )
    text = drawn(job_detail(job(status=status), NOW))
    lines = text.splitlines()
    assert lines[0] == "minilm-int8  Failed  Fail"
    assert text.count(SENTENCE) == 1
    assert text.count("slower than the baseline") == 1
    assert "✗ failed: SLAViolated: nothing was published; see the report  60s ago" in lines
    assert "on its way" not in text, "no pod is waited for once a job has ended"
    assert "output    s3://models/minilm-int8, not published" in lines
    assert "time      took 100s, ended 10s ago" in lines
    assert [line.split() for line in lines if line.startswith("latency")] == [
        ["latency", "at", "most", "20ms", "7.3ms", "7.1ms", "to", "7.8ms", "Pass"]
    ]
    assert lines[-1].startswith("next: see the report: kubectl compress report minilm-int8")


def test_running_job_shows_step_and_rest_of_deadline() -> None:
    status = {
        "phase": "Running", "stage": "quantize", "progress": 35, "startTime": stamp(-600),
        "message": "the pod minilm-int8-x runs",
        "conditions": [condition("SLASatisfied", "Unknown", "NoVerdictYet", "nothing has been measured yet")],
    }  # fmt: skip
    text = drawn(job_detail(job(status=status, spec__deadline="1h"), NOW))
    assert "minilm-int8  Running  quantize  35 %" in text
    assert "✓ prune  ▸ quantize  · pack  · measure  · publish" in text
    assert "runs for 10m, 50m left of its deadline of 1h" in text
    assert "nothing has been measured" not in text


def test_waiting_job_quotes_its_reason() -> None:
    reported = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    status = {
        "phase": "Pending",
        "message": f"Unschedulable: {reported}",
        "conditions": [condition("Scheduled", "False", "Unschedulable", reported)],
    }
    text = drawn(job_detail(job(status=status), NOW))
    assert f"✗ not scheduled: Unschedulable: {reported}" in text
    assert "created 2m ago, not started" in text
    assert "next: wait for room" in text


def test_scheduled_pod_that_cannot_start_is_red() -> None:
    reported = 'secret "s3" not found; create it: kubectl -n ml create secret generic s3'
    status = {
        "phase": "Pending",
        "message": f"ContainerConfigError: {reported}",
        "conditions": [condition("Scheduled", "True", "ContainerConfigError", reported)],
    }
    stuck = job(status=status)
    text = drawn(job_detail(stuck, NOW))
    assert text.splitlines()[0] == "minilm-int8  Pending  ContainerConfigError"
    assert f"✗ a node was found, but the pod cannot start: ContainerConfigError: {reported}" in text
    assert "✓" not in text
    (row,) = drawn(jobs_table([stuck], NOW, namespaces=False)).splitlines()[1:]
    assert row.split()[:3] == ["minilm-int8", "Pending", "ContainerConfigError"]
    assert "red" in {str(span.style) for span in headline(stuck).spans}


def test_a_job_that_waits_for_review_says_how_to_decide_and_what_time_decides() -> None:
    status = judged(
        phase="AwaitingReview", conditions=[condition("Reviewed", "Unknown", "AwaitingReview", "waits for a review")]
    )
    text = drawn(job_detail(job(status=status, spec__review="Always", spec__reviewTimeout="168h"), NOW))
    assert "review    Always; Reject after 168h without one" in text
    assert "? waits for review  60s ago" in text
    assert "✓ measure  · publish" in text
    assert "kubectl compress approve minilm-int8 -n ml --reason TEXT" in text


def test_unknown_conditions_are_shown() -> None:
    status = {"phase": "Paused", "conditions": [condition("Audited", "False", "NoAuditor", "no auditor is configured")]}
    text = drawn(job_detail(job(status=status), NOW), jobs_table([job(status=status)], NOW, namespaces=False))
    assert "minilm-int8  Paused" in text
    assert "✗ not Audited: NoAuditor: no auditor is configured" in text


def test_a_job_that_no_operator_has_seen_says_where_to_look() -> None:
    assert "next: no operator has seen it yet" in drawn(job_detail(job(), NOW))


@pytest.mark.parametrize(
    ("status", "marks"),
    [
        ({"phase": "Failed"}, "· preflight  · fetch"),
        ({"phase": "Failed", "stage": "data"}, "✓ preflight  ✓ fetch  ✗ data  · prune"),
        ({"phase": "Running", "stage": "export"}, "✓ data  ▸ export  · prune"),
        ({"phase": "Running", "stage": "done"}, "✓ measure  ✓ publish"),
        (judged(phase="Running"), "✓ measure  ▸ publish"),
        (judged("Fail", "Failed"), "✓ measure  – publish"),
        (judged(), "✓ measure  ✓ publish"),
        (judged(steps=STEPS), "✓ preflight  – fetch  ✓ convert  ✗ measure  · publish"),
    ],
)
def test_steps_show_where_a_job_is(status: dict[str, object], marks: str) -> None:
    assert marks in steps_line(job(status=status).steps).plain


def test_the_table_has_a_row_for_each_job_and_nothing_after_its_last_column() -> None:
    failed = {"phase": "Failed", "conditions": [condition("Failed", "True", "OutOfMemory")], "progress": 40}
    jobs = [job("a", judged(sizeRatio="0.2512", latencyP99="7.3ms")), job("b", failed), job("c")]
    lines = drawn(jobs_table(jobs, NOW, namespaces=True)).splitlines()
    assert [line.split() for line in lines] == [
        ["NAMESPACE", "NAME", "PHASE", "DETAIL", "PROGRESS", "VERDICT", "SIZE", "P99", "AGE"],
        ["ml", "a", "Succeeded", "100", "%", "Pass", "0.2512", "7.3ms", "2m"],
        ["ml", "b", "Failed", "OutOfMemory", "2m"],
        ["ml", "c", "-", "2m"],
    ]
    assert all(line == line.rstrip() for line in lines)
    columns = [line.index(word) for line, word in zip(lines, ("AGE", "2m", "2m", "2m"), strict=True)]
    assert len(set(columns)) == 1


def test_the_review_and_the_retries_that_hold_are_shown_not_those_of_the_spec() -> None:
    terms = {"review": "Always", "separation": True, "limits": {"retries": 1, "maxInterruptions": 4}}
    status = judged("Pass", phase="Running") | {"terms": terms, "retries": 1, "interruptions": {"count": 2}}
    text = drawn(job_detail(job(status=status, spec__review="Never", spec__author="ada@example.com"), NOW))
    assert "Always, not of the author, required by the platform team" in text
    assert "1 of 1" in text
    assert "2 of 4" in text
    assert "ada@example.com" in text


@pytest.mark.parametrize(
    ("kind", "status", "line"),
    [
        ("DeadlineAtRisk", "True", "✗ may end after its deadline: Reason: words"),
        ("DeadlineAtRisk", "False", ""),
        ("ReceiversFound", "True", ""),
        ("ReceiversFound", "False", "✗ a receiver of notifications is missing: Reason: words"),
        ("StatusComplete", "False", "✗ the status is incomplete: Reason: words"),
    ],
)
def test_good_conditions_are_not_shown_as_faults(kind: str, status: str, line: str) -> None:
    running = {"phase": "Running", "conditions": [condition(kind, status, "Reason", "words")]}
    text = drawn(job_detail(job(status=running), NOW))
    assert line in text
    assert ("Reason" in text) == bool(line)
