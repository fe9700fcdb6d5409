"""Holding a job and letting it go on."""

from compression_operator.loop.reconcile import reconcile
from tests.support.operator.builders import (
    NOW,
    after,
    child,
    condition_of,
    job,
    observe,
    running_pod,
    settle,
    stamp,
    with_raw_status,
)

QUEUE = {"kueue.x-k8s.io/queue-name": "team-a"}
RUNNING = {
    "phase": "Running",
    "startTime": stamp(),
    "childJob": {"name": "minilm-int8-0a1b2c3d", "uid": child().uid},
    "childrenCreated": 1,
}


def test_suspending_stops_the_pod_first_and_then_says_so() -> None:
    record = with_raw_status(job(spec__suspend=True), RUNNING)
    plan = reconcile(observe(record, child=child(active=1), pods=(running_pod(),)), NOW)
    assert plan.patch_child == {"spec": {"suspend": True}}
    record, plan = settle(observe(record, child=child(suspend=True, active=1), pods=(running_pod(),)))
    assert plan.patch_child is None
    assert record.phase == "Running"
    record, plan = settle(observe(record, child=child(suspend=True)))
    assert record.phase == "Suspended"
    assert record.reason == "SuspendedByUser"
    assert condition_of(plan, "Suspended")["status"] == "True"
    assert reconcile(observe(record, child=child(suspend=True)), NOW).empty


def test_a_pause_does_not_use_up_the_deadline() -> None:
    record = with_raw_status(job(spec__suspend=True, spec__deadline="100s"), RUNNING)
    plan = reconcile(observe(record, child=child(active=1, deadline=100, start=stamp())), after(40))
    assert plan.patch_child == {"spec": {"suspend": True, "activeDeadlineSeconds": 60}}


def test_resuming_goes_on_and_is_not_pending_again() -> None:
    held, _ = settle(observe(with_raw_status(job(spec__suspend=True), RUNNING), child=child(suspend=True)))
    resumed = with_raw_status(job(), held.status().to_json())
    plan = reconcile(observe(resumed, child=child(suspend=True)), NOW)
    assert plan.patch_child == {"spec": {"suspend": False}}
    assert plan.status is not None
    assert plan.status["phase"] == "Running"
    assert condition_of(plan, "Suspended")["reason"] == "Resumed"
    assert "Resumed" in [note.reason for note in plan.events]


def test_a_job_applied_suspended_waits_without_a_pod() -> None:
    plan = reconcile(observe(job(spec__suspend=True)), NOW)
    assert plan.create is not None
    assert plan.create["spec"]["suspend"] is True
    record, _ = settle(observe(job(spec__suspend=True), child=child(suspend=True)))
    assert record.phase == "Suspended"


def test_suspend_of_a_queued_job_is_left_to_the_queue() -> None:
    record = job(labels=QUEUE)
    record, plan = settle(observe(record, child=child(suspend=True)))
    assert plan.patch_child is None
    assert (record.phase, record.reason) == ("Pending", "Queued")
    assert "team-a" in condition_of(plan, "Scheduled")["message"]
    admitted, plan = settle(observe(record, child=child(active=1), pods=(running_pod(),)))
    assert plan.patch_child is None
    assert admitted.phase == "Running"


def test_a_held_job_is_not_given_to_a_queue() -> None:
    record, plan = settle(observe(job(labels=QUEUE, spec__suspend=True)))
    assert plan.create is None
    assert record.phase == "Suspended"
    assert reconcile(observe(record), NOW).empty
