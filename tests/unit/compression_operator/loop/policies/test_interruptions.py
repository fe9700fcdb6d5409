"""Interruptions count once each, and too many of them end the job."""

from typing import Any

from compression_operator.loop.reconcile import reconcile
from compression_operator.records.job import JobRecord
from compression_operator.records.pod import PodRecord
from tests.support.operator.builders import (
    NOW,
    child,
    complete,
    condition_of,
    ended_pod,
    failed,
    job,
    observe,
    pod,
    running_pod,
    settle,
    summary,
    with_status,
)

PLACED = ("PodScheduled", "True", "", "")
LOST = ("DisruptionTarget", "True", "PreemptionByScheduler", "preempted")


def lost(name: str, created: float) -> PodRecord:
    return pod(name, phase="Failed", conditions=(PLACED, LOST), created=created)


def count(record: JobRecord) -> int:
    interruptions = record.status().interruptions
    return 0 if interruptions is None else interruptions.count


def seen(record: JobRecord, *pods: PodRecord, **more: Any) -> JobRecord:
    return settle(observe(record, child=child(), pods=pods, **more))[0]


def test_each_interrupted_pod_is_counted_once() -> None:
    record = seen(job(), running_pod("pod-a", created=1))
    assert count(record) == 0
    record = seen(record, lost("pod-a", 1), running_pod("pod-b", created=5))
    record = seen(record, lost("pod-a", 1), running_pod("pod-b", created=5))
    assert count(record) == 1
    record = seen(record, lost("pod-b", 5), lost("pod-a", 1), pod("pod-c", created=9))
    record = seen(record, lost("pod-b", 5), running_pod("pod-c", created=9))
    assert count(record) == 2
    record = seen(record, running_pod("pod-c", created=9))
    assert count(record) == 2


def test_a_pod_without_a_node_lost_nothing_and_a_failed_one_is_a_retry() -> None:
    waiting = pod("pod-a", phase="Failed", conditions=(LOST,), created=1)
    record = seen(job(), waiting, ended_pod("pod-b", 1, created=2), pod("pod-c", created=3))
    assert count(record) == 0


def test_one_more_than_allowed_ends_the_child_and_the_job_with_the_remedy() -> None:
    record = seen(job(spec__maxInterruptions=1), lost("pod-a", 1), running_pod("pod-b", created=5))
    assert record.phase == "Running"
    pods = (lost("pod-a", 1), lost("pod-b", 5), pod("pod-c", created=9))
    ending = reconcile(observe(record, child=child(), pods=pods), NOW)
    assert ending.patch_child == {"spec": {"activeDeadlineSeconds": 1}}
    over = child(deadline=1)
    ended, plan = settle(observe(record, child=over, pods=pods))
    assert (ended.phase, ended.reason, count(ended)) == ("Failed", "InterruptedTooOften", 2)
    message = condition_of(plan, "Failed")["message"]
    assert "lost its pod 2 times" in message
    assert "maxInterruptions is 1" in message
    assert len(message) <= 200
    # Kubernetes was faster, and says that the Job's time is over.
    late, _ = settle(observe(record, child=failed("DeadlineExceeded", deadline=1), pods=pods))
    assert late.reason == "InterruptedTooOften"


def test_completed_job_is_not_interrupted() -> None:
    pods = (lost("pod-a", 1), ended_pod("pod-b", message=summary(), created=5))
    record, _ = settle(observe(job(spec__maxInterruptions=0), child=complete(), pods=pods))
    assert record.phase == "Succeeded"


def test_eviction_by_a_queue_counts_once() -> None:
    queued = job(labels={"kueue.x-k8s.io/queue-name": "lq"}, spec__maxInterruptions=1)
    runs = settle(observe(queued, child=child(queue="lq"), pods=(running_pod(),)))[0]
    held = child(queue="lq", suspend=True)
    record = settle(observe(runs, child=held))[0]
    record = settle(observe(record, child=held))[0]
    assert (count(record), record.reason) == (1, "Queued")
    again = settle(observe(record, child=child(queue="lq"), pods=(running_pod("pod-b", created=9),)))[0]
    plan = reconcile(observe(again, child=held), NOW)
    assert plan.requeue_after == 0
    assert count(with_status(again, plan)) == 2
    ending = reconcile(observe(with_status(again, plan), child=held), NOW)
    assert ending.patch_child == {"spec": {"activeDeadlineSeconds": 1}}
