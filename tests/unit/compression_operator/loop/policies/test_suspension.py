"""Suspending and resuming jobs."""

from compression_operator.cache.writers import Writer
from compression_operator.loop.reconcile import reconcile
from compression_operator.records.job import JobRecord
from tests.support.operator.builders import (
    NOW,
    after,
    child,
    condition_of,
    job,
    observe,
    progress,
    raw_job,
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


def test_suspended_is_stated_after_the_pod_has_ended() -> None:
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


def test_suspension_pauses_the_deadline() -> None:
    record = with_raw_status(job(spec__suspend=True, spec__deadline="100s"), RUNNING)
    record, plan = settle(observe(record, child=child(active=1, deadline=100, start=stamp())), after(40))
    assert plan.patch_child == {"spec": {"suspend": True}}
    held = {"suspend": True, "start": stamp(), "condition": ("Suspended", "JobSuspended", ""), "since": stamp(42)}
    record, plan = settle(observe(record, child=child(deadline=100, **held)), after(60))
    assert plan.patch_child == {"spec": {"activeDeadlineSeconds": 58}}
    assert record.status().deadline_time is None
    resumed = with_raw_status(job(spec__deadline="100s"), record.status().to_json())
    record, plan = settle(observe(resumed, child=child(active=1, deadline=58, start=stamp(500))), after(501))
    assert plan.patch_child is None
    assert record.status().deadline_time == stamp(558)


def test_resumed_job_waits_for_a_pod() -> None:
    held, _ = settle(observe(with_raw_status(job(spec__suspend=True), RUNNING), child=child(suspend=True)))
    resumed = with_raw_status(job(), held.status().to_json())
    plan = reconcile(observe(resumed, child=child(suspend=True)), NOW)
    assert plan.patch_child == {"spec": {"suspend": False}}
    assert plan.status is not None
    assert plan.status["phase"] == "Pending"
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
    record, plan = settle(observe(record, child=child(suspend=True, queue="team-a")))
    assert (plan.patch_child, plan.queued) == (None, None)
    assert (record.phase, record.reason) == ("Pending", "Queued")
    assert "team-a" in condition_of(plan, "Scheduled")["message"]
    admitted, plan = settle(observe(record, child=child(active=1, queue="team-a"), pods=(running_pod(),)))
    assert (plan.patch_child, plan.queued) == (None, None)
    assert admitted.phase == "Running"


def test_a_queued_job_that_runs_is_suspended_through_its_queue() -> None:
    waiting = child(suspend=True, queue="team-a")
    record = with_raw_status(job(labels=QUEUE, spec__suspend=True), RUNNING | {"queue": "team-a"})
    record, plan = settle(observe(record, child=child(active=1, queue="team-a"), pods=(running_pod(),)))
    assert (plan.patch_child, plan.queued, record.phase) == (None, False, "Running")
    record, plan = settle(observe(record, child=waiting))
    assert (plan.queued, record.phase, record.reason) == (False, "Suspended", "SuspendedByUser")
    assert reconcile(observe(record, child=waiting), NOW).queued is None
    resumed = with_raw_status(job(labels=QUEUE), record.status().to_json())
    record, plan = settle(observe(resumed, child=waiting))
    assert (plan.patch_child, plan.queued, record.phase, record.reason) == (None, True, "Pending", "Queued")
    assert reconcile(observe(record, child=waiting), NOW).empty


def test_a_queued_job_that_is_resumed_before_its_pod_has_ended_is_queued_again() -> None:
    record = with_raw_status(job(labels=QUEUE, spec__suspend=True), RUNNING | {"queue": "team-a"})
    runs = child(active=1, queue="team-a")
    record, plan = settle(observe(record, child=runs, pods=(running_pod(),)))
    assert (plan.queued, condition_of(plan, "Suspended")["status"]) == (False, "Unknown")
    resumed = with_raw_status(job(labels=QUEUE), record.status().to_json())
    ending = child(suspend=True, active=1, queue="team-a")
    record, plan = settle(observe(resumed, child=ending, pods=(running_pod(deleting=True),)))
    assert plan.queued is True
    record, plan = settle(observe(record, child=child(suspend=True, queue="team-a")))
    assert (plan.queued, record.phase, record.reason) == (None, "Pending", "Queued")


def test_a_queued_job_is_suspended_before_the_queue_starts_it() -> None:
    waiting = child(suspend=True, queue="team-a")
    record, _ = settle(observe(job(labels=QUEUE), child=waiting))
    held = with_raw_status(job(labels=QUEUE, spec__suspend=True), record.status().to_json())
    record, plan = settle(observe(held, child=waiting))
    assert (plan.queued, record.phase) == (False, "Suspended")


def test_removed_queue_label_does_not_start_the_job() -> None:
    record, _ = settle(observe(job(labels=QUEUE), child=child(suspend=True, queue="team-a")))
    assert record.status().queue == "team-a"
    without = JobRecord.of(raw_job(status=record.status().to_json()))
    plan = reconcile(observe(without, child=child(suspend=True, queue="team-a")), NOW)
    assert (plan.patch_child, plan.queued) == (None, None)
    replaced = reconcile(observe(without, confirmed=True), NOW)
    assert replaced.create is not None
    assert replaced.create["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert replaced.create["spec"]["suspend"] is True


def test_a_job_that_its_queue_preempted_is_pending_again() -> None:
    runs = child(active=1, queue="team-a", start=stamp())
    seen = observe(job(labels=QUEUE), child=runs, pods=(running_pod(),), progress=progress("prune", 0.4))
    record, _ = settle(seen)
    assert (record.phase, record.status().stage) == ("Running", "prune")
    record, plan = settle(observe(record, child=child(suspend=True, queue="team-a")), after(30))
    assert (record.phase, record.reason) == ("Pending", "Queued")
    assert (record.status().stage, record.status().progress, record.status().retries) == ("", 40, 0)
    assert "waiting in the queue team-a again" in condition_of(plan, "Scheduled")["message"]


def test_a_job_that_was_resumed_and_waits_for_its_destination_is_not_suspended() -> None:
    held = child(suspend=True, condition=("Suspended", "", ""))
    record, _ = settle(observe(with_raw_status(job(spec__suspend=True), RUNNING), child=held))
    assert record.reason == "SuspendedByUser"
    resumed = with_raw_status(job(), record.status().to_json())
    other = Writer("u", "Job", "x", 1, "other", "default", "other", ())
    record, plan = settle(observe(resumed, child=held, blocker=other))
    assert (plan.patch_child, record.phase, record.reason) == (None, "Pending", "DestinationInUse")
    record, plan = settle(observe(record, child=held))
    assert plan.patch_child == {"spec": {"suspend": False}}
    assert condition_of(plan, "Suspended")["status"] == "False"


def test_suspended_job_creates_no_queued_child() -> None:
    record, plan = settle(observe(job(labels=QUEUE, spec__suspend=True)))
    assert plan.create is None
    assert record.phase == "Suspended"
    assert reconcile(observe(record), NOW).empty
