"""A job that waits for a measuring slot uses no time of its deadline, and precedes other jobs on the node."""

import pytest

from compression_operator.loop.reconcile import reconcile
from compression_operator.records.child import ChildRecord
from compression_operator.records.job import JobRecord
from compression_operator.records.pod import PodRecord
from tests.support.operator.builders import (
    after,
    child,
    complete,
    condition_of,
    ended_pod,
    job,
    observe,
    pod,
    running_pod,
    runtime,
    settle,
    stamp,
)

NO_ROOM = "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: none."
ALONE = runtime(measuring={"isolation": "Node"})
DEADLINE = {"spec__deadline": "100s"}


def waits(name: str = "pod-a", created: float = 1) -> PodRecord:
    return pod(name, slot="Node", created=created, conditions=(("PodScheduled", "False", "Unschedulable", NO_ROOM),))


def runs(name: str = "pod-a", created: float = 1, placed: float = 1) -> PodRecord:
    conditions = (("PodScheduled", "True", "", "", stamp(placed)),)
    return running_pod(name, slot="Node", created=created, start=placed, conditions=conditions)


def measuring(deadline: int | None = 100, **options: object) -> ChildRecord:
    return child(slot="Node", part="Run", active=1, start=stamp(), deadline=deadline, **options)  # type: ignore[arg-type]


def used(record: JobRecord) -> int:
    active_time = record.status().active_time
    return 0 if active_time is None else active_time.seconds


def test_waiting_job_states_the_number_of_waiting_jobs() -> None:
    record, plan = settle(observe(child=measuring(), pods=(waits(),), waiting_for_slot=3))
    scheduled = condition_of(plan, "Scheduled")
    assert (scheduled["status"], scheduled["reason"]) == ("False", "WaitingForMeasuringSlot")
    text = "3 jobs wait for a measuring slot, this one included; the scheduler: "
    assert scheduled["message"] == text + "0/1 nodes are available: 1 Insufficient cpu"
    assert (record.phase, record.reason) == ("Pending", "WaitingForMeasuringSlot")
    assert [note.type for note in plan.events if note.reason == "Waiting"] == ["Normal"]
    assert plan.requeue_after == 30
    again = reconcile(observe(record, child=measuring(), pods=(waits(),), waiting_for_slot=1), after(30))
    assert condition_of(again, "Scheduled")["message"].startswith("1 job waits for a measuring slot, this one; ")
    assert again.events == ()


def test_unschedulable_pod_pauses_the_deadline() -> None:
    missing = (("PodScheduled", "False", "Unschedulable", 'persistentvolumeclaim "gone" not found'),)
    waiting = pod(slot="Node", conditions=missing)
    record, plan = settle(observe(job(**DEADLINE), child=measuring(), pods=(waiting,), slot_seconds=60.0), after(2))
    assert condition_of(plan, "Scheduled")["reason"] == "Unschedulable"
    assert [note.type for note in plan.events if note.reason == "Waiting"] == ["Warning"]
    assert plan.patch_child == {"spec": {"activeDeadlineSeconds": None}}
    assert (record.status().deadline_time, record.status().expected_completion_time) == (None, None)


def test_count_updates_are_limited_for_many_jobs() -> None:
    plan = reconcile(observe(child=measuring(), pods=(waits(),), waiting_for_slot=2000), after(0))
    assert plan.requeue_after == 100


def test_job_is_held_back_for_waiting_measurements() -> None:
    record, plan = settle(observe(on=ALONE, measured_first=2))
    assert plan.create is None
    scheduled = condition_of(plan, "Scheduled")
    assert (record.phase, scheduled["status"], scheduled["reason"]) == ("Pending", "False", "MeasuringFirst")
    assert (
        scheduled["message"] == "2 jobs wait to be measured alone on a node like this job's; this job begins after that"
    )
    assert condition_of(plan, "Accepted")["status"] == "True"
    assert len(plan.events) == 1
    assert reconcile(observe(record, on=ALONE, measured_first=2), after(60)).empty
    assert reconcile(observe(record, on=ALONE), after(60)).create is not None


def test_held_back_job_keeps_its_message() -> None:
    """Updates of 10,000 jobs would be 10,000 requests."""
    record, _ = settle(observe(on=ALONE, measured_first=2))
    assert reconcile(observe(record, on=ALONE, measured_first=1), after(60)).empty
    assert reconcile(observe(record, on=ALONE, measured_first=40), after(60)).empty


def test_resumed_queued_job_that_is_held_back_is_not_suspended() -> None:
    queue = {"labels": {"kueue.x-k8s.io/queue-name": "team"}}
    held, _ = settle(observe(job(spec__suspend=True, **queue), on=ALONE))
    assert held.reason == "SuspendedByUser"
    resumed = job(status=held.status().to_json(), **queue)
    record, plan = settle(observe(resumed, on=ALONE, measured_first=1), after(60))
    assert condition_of(plan, "Suspended")["status"] == "Unknown"
    assert (record.phase, record.reason) == ("Pending", "MeasuringFirst")


def test_started_job_is_not_held_back() -> None:
    plan = reconcile(observe(child=measuring(), pods=(runs(),), measured_first=2), after(5))
    assert condition_of(plan, "Scheduled")["status"] == "True"


def test_waiting_uses_nothing_of_the_deadline() -> None:
    record, plan = settle(observe(job(**DEADLINE), child=measuring(), pods=(waits(),)), after(2))
    assert plan.patch_child == {"spec": {"activeDeadlineSeconds": None}}
    assert (used(record), record.status().deadline_time) == (0, None)
    assert "no time of spec.deadline passes" in condition_of(plan, "Scheduled")["message"]
    record, plan = settle(observe(record, child=measuring(None), pods=(waits(),)), after(5000))
    assert (plan.patch_child, used(record)) == (None, 0)
    record, plan = settle(observe(record, child=measuring(None), pods=(runs(placed=6000),)), after(6003))
    assert plan.patch_child == {"spec": {"activeDeadlineSeconds": 6100}}
    assert record.status().deadline_time == stamp(6100)
    done = complete(slot="Node", start=stamp(), deadline=6100, since=stamp(6040))
    over = ended_pod(slot="Node", start=6000, end=6040, conditions=(("PodScheduled", "True", "", "", stamp(6000)),))
    record, _ = settle(observe(record, child=done, pods=(over,), confirmed=True), after(6041))
    assert used(record) == 40


def test_immediate_slot_needs_no_patch() -> None:
    record, plan = settle(observe(job(**DEADLINE), child=measuring(), pods=(runs(placed=1),)), after(3))
    assert plan.patch_child is None
    assert record.status().active_time is not None


def test_only_time_with_a_node_counts_for_a_retry() -> None:
    record, _ = settle(observe(job(**DEADLINE), child=measuring(), pods=(runs(),)), after(3))
    failed = ended_pod(code=1, slot="Node", start=1, end=21, conditions=(("PodScheduled", "True", "", "", stamp(1)),))
    record, plan = settle(observe(record, child=measuring(), pods=(failed, waits("b", created=31))), after(500))
    assert used(record) == 30  # the pause before the second try counts
    assert plan.patch_child == {"spec": {"activeDeadlineSeconds": None}}
    second = runs("b", created=31, placed=900)
    record, plan = settle(observe(record, child=measuring(None), pods=(failed, second)), after(901))
    assert plan.patch_child == {"spec": {"activeDeadlineSeconds": 970}}
    assert used(record) == 30


NO_CONDITION_YET: tuple[tuple[str, ...], ...] = ()
"""Conditions of a new pod, before the scheduler has processed it."""


def test_retry_has_no_clock_before_it_has_a_node() -> None:
    """What is left of the deadline would count from the start of the Job, which is long ago."""
    record, _ = settle(observe(job(**DEADLINE), child=measuring(), pods=(runs(),)), after(3))
    failed = ended_pod(code=1, slot="Node", start=1, end=61, conditions=(("PodScheduled", "True", "", "", stamp(1)),))
    new = pod("b", slot="Node", created=71, conditions=NO_CONDITION_YET)
    record, plan = settle(observe(record, child=measuring(), pods=(failed, new)), after(71))
    assert used(record) == 70
    assert plan.patch_child == {"spec": {"activeDeadlineSeconds": None}}
    second = runs("b", created=71, placed=72)
    _, plan = settle(observe(record, child=measuring(None), pods=(failed, second)), after(73))
    assert plan.patch_child == {"spec": {"activeDeadlineSeconds": 72 + 30}}


@pytest.mark.parametrize("pods", [(), (pod("b", slot="Node", created=5000, conditions=NO_CONDITION_YET),)])
def test_a_pod_that_was_deleted_while_it_waited_starts_no_clock(pods: tuple[PodRecord, ...]) -> None:
    record, _ = settle(observe(job(**DEADLINE), child=measuring(), pods=(waits(),)), after(2))
    record, plan = settle(observe(record, child=measuring(None), pods=pods), after(5000))
    assert (plan.patch_child, used(record), record.status().deadline_time) == (None, 0, None)


def test_time_of_an_earlier_pod_is_not_counted_twice() -> None:
    """Pods of a lost node are deleted, and those that failed before are not."""
    record, _ = settle(observe(job(**DEADLINE), child=measuring(), pods=(runs(),)), after(3))
    failed = ended_pod(code=1, slot="Node", start=1, end=21, conditions=(("PodScheduled", "True", "", "", stamp(1)),))
    second = runs("b", created=31, placed=900)
    record, _ = settle(observe(record, child=measuring(), pods=(failed, second)), after(905))
    record, plan = settle(observe(record, child=measuring(970), pods=(failed,)), after(910))
    assert (plan.patch_child, used(record)) == (None, 30)
    record, _ = settle(observe(record, child=measuring(970), pods=(failed, waits("c", created=920))), after(2000))
    assert used(record) == 50


def test_clock_skew_gives_no_negative_time() -> None:
    record, plan = settle(observe(job(**DEADLINE), child=measuring(), pods=(runs(placed=-300),)), after(3))
    assert plan.patch_child is None
    assert record.status().deadline_time == stamp(100)


def test_unobserved_wait_is_not_counted() -> None:
    """The operator was away from the end of one pod until the next one ran."""
    record, _ = settle(observe(job(**DEADLINE), child=measuring(), pods=(runs(),)), after(3))
    failed = ended_pod(code=1, slot="Node", start=1, end=21, conditions=(("PodScheduled", "True", "", "", stamp(1)),))
    second = runs("b", created=31, placed=900)
    record, plan = settle(observe(record, child=measuring(), pods=(failed, second)), after(905))
    assert used(record) == 30
    assert plan.patch_child == {"spec": {"activeDeadlineSeconds": 970}}


def test_a_budget_has_a_clock_while_the_deadline_has_none() -> None:
    priced = {"compression-operator.io/price-per-hour": "3.6", "compression-operator.io/deadline-seconds": "100"}
    limited = job(spec__budget="1", **DEADLINE)
    waiting = measuring(annotations=priced)
    _, plan = settle(observe(limited, child=waiting, pods=(waits(),)), after(50))
    assert plan.patch_child == {
        "spec": {"activeDeadlineSeconds": 50 + 970},
        "metadata": {"annotations": {"compression-operator.io/deadline-seconds": "none"}},
    }


def test_waiting_job_has_no_deadline_risk() -> None:
    late = after(400)
    record, _ = settle(observe(job(**DEADLINE), child=measuring(), pods=(runs(),), finish=late), after(3))
    assert [item.status for item in record.status().conditions if item.type == "DeadlineAtRisk"] == ["True"]
    _, plan = settle(observe(record, child=measuring(), pods=(waits("b", created=31),)), after(40))
    assert condition_of(plan, "DeadlineAtRisk")["reason"] == "ClockStopped"


def test_waiting_job_expects_the_end_of_the_slot_queue() -> None:
    record, _ = settle(observe(child=measuring(), pods=(waits(),), waiting_for_slot=3, slot_seconds=40.0))
    assert record.status().expected_completion_time == stamp(120)
    assert record.status().deadline_time is None
    unknown, _ = settle(observe(child=measuring(), pods=(waits(),), waiting_for_slot=3))
    assert unknown.status().expected_completion_time is None
