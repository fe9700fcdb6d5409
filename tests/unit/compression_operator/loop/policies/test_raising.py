"""A raised or removed deadline or budget reaches the running child."""

from typing import Any

import pytest

from compression_operator.loop.reconcile import reconcile
from compression_operator.records.job import JobRecord
from tests.support.operator.builders import (
    CHILD_UID,
    NOW,
    after,
    child,
    condition_of,
    job,
    observe,
    progress,
    raw_job,
    running_pod,
    runtime,
    settle,
    stamp,
    with_raw_status,
)

GPU = runtime(pricePerHour="3.6")
"""A thousandth for each second."""
NOTE = "compression-operator.io/deadline-seconds"
PRICE = "compression-operator.io/price-per-hour"


class Running:
    """A job whose child runs since NOW, and the API server that takes patches of the child."""

    def __init__(self, **spec: Any) -> None:
        plan = reconcile(observe(job(**spec), on=GPU), NOW)
        assert plan.create is not None
        self.annotations = dict(plan.create["metadata"]["annotations"])
        self.clock: int | None = plan.create["spec"].get("activeDeadlineSeconds")
        self.child: dict[str, Any] = {"active": 1, "start": stamp()}
        self.pods = (running_pod(annotations={PRICE: "3.6"}),)
        self.record: JobRecord = job(**spec)
        if spec.get("spec__suspend"):
            self.child, self.pods = {"suspend": True}, ()
        self.look(10)

    def look(self, seconds: float, **seen: Any) -> None:
        """Let the operator work until it has nothing more to do."""
        for _ in range(3):
            current = child(deadline=self.clock, annotations=self.annotations, uid=CHILD_UID, **self.child)
            self.record, plan = settle(
                observe(self.record, on=GPU, child=current, pods=self.pods, **seen), after(seconds)
            )
            self.plan = plan
            if plan.patch_child is None:
                return
            self.clock = plan.patch_child["spec"].get("activeDeadlineSeconds", self.clock)
            changed = plan.patch_child.get("metadata", {}).get("annotations", {})
            self.annotations = {key: it for key, it in (self.annotations | changed).items() if it is not None}
        raise AssertionError(f"no rest: {plan.patch_child}")

    def change(self, seconds: float, **spec: Any) -> None:
        """Let the author change the spec to these fields."""
        raw = raw_job(status=self.record.status().to_json(), generation=2, **spec)
        self.record = JobRecord.of(raw)
        self.look(seconds)


def test_a_longer_deadline_moves_the_clock_of_the_running_child_and_the_time_of_the_end() -> None:
    job_ = Running(spec__deadline="10m")
    assert (job_.clock, job_.record.status().deadline_time) == (600, stamp(600))
    job_.change(100, spec__deadline="2h")
    assert (job_.clock, job_.annotations[NOTE]) == (7200, "7200")
    status = job_.record.status()
    assert status.deadline_time == stamp(7200)
    assert status.active_time is not None
    assert status.active_time.seconds == 0


def test_a_deadline_that_is_removed_leaves_no_clock() -> None:
    job_ = Running(spec__deadline="10m")
    job_.change(100)
    assert (job_.clock, NOTE in job_.annotations) == (None, False)
    assert job_.record.status().deadline_time is None


def test_a_child_of_an_older_operator_gets_the_longer_deadline_too() -> None:
    job_ = Running(spec__deadline="10m")
    del job_.annotations[NOTE]
    job_.look(20)
    assert NOTE not in job_.annotations
    job_.change(100, spec__deadline="2h")
    assert job_.clock == 7200


@pytest.mark.parametrize("seen_before", [True, False])
def test_a_longer_deadline_is_not_used_up_while_a_child_of_an_older_operator_waits(seen_before: bool) -> None:
    """The clock of a child that has not started is the old deadline, and not what earlier periods have left of it."""
    record = job(spec__deadline="10m", labels={"kueue.x-k8s.io/queue-name": "team-a"})
    waiting = child(deadline=600, suspend=True, queue="team-a")
    if seen_before:
        record, _ = settle(observe(record, child=waiting), after(10))
    raised = raw_job(status=record.status().to_json(), generation=2, spec__deadline="2h")
    record, plan = settle(observe(JobRecord.of(raised), child=waiting), after(100))
    assert plan.patch_child is not None
    assert plan.patch_child["spec"]["activeDeadlineSeconds"] == 7200


def test_what_a_child_of_an_older_operator_has_used_is_kept_when_its_deadline_is_raised() -> None:
    """Kueue took the start time away; the older operator had set the clock to what was left."""
    record = with_raw_status(job(spec__deadline="10m"), {"startTime": stamp(), "phase": "Pending", "part": "Run"})
    rests = child(deadline=450, suspend=True, queue="team-a")
    record, _ = settle(observe(record, child=rests), after(10))
    raised = raw_job(status=record.status().to_json(), generation=2, spec__deadline="20m")
    _, plan = settle(observe(JobRecord.of(raised), child=rests), after(100))
    assert plan.patch_child is not None
    assert plan.patch_child["spec"]["activeDeadlineSeconds"] == 1200 - 150


def test_clock_of_another_writer_is_not_removed() -> None:
    job_ = Running()
    job_.clock = 3600
    job_.look(100)
    assert job_.clock == 3600


@pytest.mark.parametrize("started", [False, True])
def test_the_time_that_a_suspended_job_has_used_stays_as_it_is(started: bool) -> None:
    job_ = Running(spec__deadline="10m", spec__suspend=True)
    if started:
        job_.child |= {"start": stamp(), "condition": ("Suspended", "", ""), "since": stamp(100)}
    job_.look(200)
    job_.change(300, spec__deadline="1h", spec__suspend=True)
    used = job_.record.status().active_time
    assert (used.seconds if used else 0) == (100 if started else 0)
    assert job_.clock == (3500 if started else 3600)


def test_a_longer_deadline_ends_the_risk_to_miss_it() -> None:
    job_ = Running(spec__deadline="10m")
    finish = {"finish": after(1200), "progress": progress("measure", 0.5)}
    job_.look(100, **finish)
    assert condition_of(job_.plan, "DeadlineAtRisk")["status"] == "True"
    message = condition_of(job_.plan, "DeadlineAtRisk")["message"]
    assert "raise spec.deadline" in message
    assert len(message) <= 200
    job_.change(110, spec__deadline="1h")
    job_.look(111, **finish)
    status = {item.type: item.status for item in job_.record.status().conditions}
    assert status["DeadlineAtRisk"] == "False"


def test_a_larger_budget_lets_the_pod_run_on() -> None:
    job_ = Running(spec__budget="1")
    assert job_.clock == 970
    job_.change(900, spec__budget="2")
    assert job_.clock is not None
    assert 1960 <= job_.clock <= 1972
    assert job_.annotations[NOTE] == "none"


@pytest.mark.parametrize(("deadline", "clock"), [({}, None), ({"spec__deadline": "2h"}, 7200)])
def test_a_budget_that_is_removed_leaves_the_deadline_alone(deadline: dict[str, Any], clock: int | None) -> None:
    job_ = Running(spec__budget="1", **deadline)
    assert job_.clock == 970
    job_.change(900, **deadline)
    assert job_.clock == clock


def test_longer_deadline_with_an_earlier_budget_changes_only_the_annotation() -> None:
    job_ = Running(spec__budget="1", spec__deadline="1h")
    job_.change(100, spec__budget="1", spec__deadline="2h")
    assert (job_.clock, job_.annotations[NOTE]) == (970, "7200")
    assert job_.record.status().deadline_time == stamp(7200)
