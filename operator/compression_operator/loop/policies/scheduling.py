"""The state of the pod: missing, unscheduled, not started (with the message of scheduler or kubelet), or running."""

import re
from datetime import timedelta
from typing import Final, Literal

from compression_operator.loop.draft import Draft, timestamp
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.policies import measuring_slot, starting
from compression_operator.records.child import ChildRecord
from compression_operator.records.pod import PodRecord
from compression_operator.records.reading import ConditionRecord, parse_time
from compression_operator.telemetry import event_reasons
from compression_operator.telemetry.notes import EventType
from compressionjob.conditions import (
    POD_SCHEDULED,
    PREEMPTED,
    SCHEDULED,
    UNSCHEDULABLE,
    WAITING_FOR_MEASURING_SLOT,
    WAITING_FOR_POD,
)
from compressionjob.group import RUNTIME_SHORT_NAME

POD_CREATION_GRACE: Final = timedelta(seconds=30)
"""How long the Job controller may take to create a pod before the message names the command to check it."""
_PREEMPTION: Final = re.compile(r"\.? (?:no new claims to deallocate|preemption:)")
_NO_CLAIM: Final = re.compile(r'persistentvolumeclaim "([^"]+)" not found')


def place(draft: Draft) -> ReconcilePlan | None:
    """State whether the pod is scheduled, and why not."""
    pod = current_pod(draft.observed.pods)
    if pod is None:
        _wait_for_pod(draft, draft.child)
    elif is_running(pod):
        _run(draft, pod)
    elif pod.waits_for_slot:
        _report(draft, "False", WAITING_FOR_MEASURING_SLOT, measuring_slot.waiting_message(draft, pod))
    elif pod.unschedulable is not None:
        _report(draft, "False", UNSCHEDULABLE, _unschedulable(draft, pod.unschedulable.message))
    elif not pod.scheduled:
        draft.set_condition(SCHEDULED, "False", WAITING_FOR_POD, f"the pod {pod.name} waits for the scheduler")
        draft.set_phase("Pending", f"the pod {pod.name} waits for the scheduler")
    else:
        _start(draft, pod, pod.waiting)
    return None


def is_running(pod: PodRecord) -> bool:
    """Return whether the runner's container is running."""
    return pod.running or pod.phase == "Running"


def current_pod(pods: tuple[PodRecord, ...]) -> PodRecord | None:
    """Return the newest pod that has not ended; None if there is none."""
    alive = [pod for pod in pods if not pod.over and not pod.deleting]
    return max(alive, key=_age, default=None)


def _wait_for_pod(draft: Draft, child: ChildRecord) -> None:
    last, preempted = max(draft.observed.pods, key=_age, default=None), _last_disrupted(draft)
    if last is not None and last.phase == "Succeeded":
        return  # the Job controller is about to complete the Job
    if preempted is not None and preempted is last:
        note_interruption(draft)
        message = f"{_interruption(preempted)}; the next pod is being created"
        draft.set_condition(SCHEDULED, "False", PREEMPTED, message)
        draft.set_phase("Pending", message)
        return
    if draft.started and child.active == 0 and child.failed:
        message = "the next pod is being created"
    elif child.created and draft.now - parse_time(child.created) > POD_CREATION_GRACE:
        message = f"no pod was created (quota, admission?); see: kubectl -n {child.namespace} describe job {child.name}"
    else:
        message = "the Job has no pod yet"
        draft.requeue_after(POD_CREATION_GRACE.total_seconds() + 1)
    draft.set_condition(SCHEDULED, "False", WAITING_FOR_POD, message)
    draft.set_phase("Pending", message)


def note_interruption(draft: Draft) -> None:
    """Record one Event about the disruption of a pod that had a node."""
    old, pod = draft.condition(SCHEDULED), _last_disrupted(draft)
    if old is not None and old.status == "True" and pod is not None:
        draft.note("Normal", event_reasons.INTERRUPTED, f"{_interruption(pod)}; the job continues from its checkpoints")


def _last_disrupted(draft: Draft) -> PodRecord | None:
    """Return the newest disrupted pod: preempted, drained, or lost with its node."""
    return max((pod for pod in draft.observed.pods if pod.disrupted is not None), key=_age, default=None)


def _age(pod: PodRecord) -> tuple[str, int]:
    return pod.created, pod.version


def _interruption(pod: PodRecord) -> str:
    return f"pod {pod.name}" + (f": {pod.disrupted.reason}: {pod.disrupted.message}" if pod.disrupted else "")


def _start(draft: Draft, pod: PodRecord, waiting: ConditionRecord | None) -> None:
    reason = starting.failure_reason(waiting)
    if waiting is None or not reason:
        draft.set_condition(SCHEDULED, "True", POD_SCHEDULED, "a node was found")
        draft.set_phase("Pending", f"the pod {pod.name} is starting")
        return
    old = draft.condition(SCHEDULED)
    before = old.message if old is not None and old.reason == reason else ""
    _report(draft, "True", reason, starting.message(draft, pod, waiting, reason, before))


def _unschedulable(draft: Draft, message: str) -> str:
    """Return the scheduler's message without its preemption attempts, and the remedy."""
    missing = _NO_CLAIM.search(message)
    job = draft.observed.job
    if missing is None:
        cause = _PREEMPTION.split(message)[0].rstrip(". ") or "the scheduler found no node"
        others = f"another spec.runtime than {job.present_runtime!r} (kubectl get {RUNTIME_SHORT_NAME})"
        return f"{cause}; wait for room, or submit the job again with {others}"
    namespace = job.namespace
    remedy = f"create the claim {missing[1]}, or use an existing one (kubectl -n {namespace} get pvc)"
    return f"{message.rstrip('. ')}; {remedy}"


def _report(draft: Draft, status: Literal["True", "False"], reason: str, message: str) -> None:
    old = draft.condition(SCHEDULED)
    if old is None or old.reason != reason:
        kind: EventType = "Normal" if reason == WAITING_FOR_MEASURING_SLOT else "Warning"
        draft.note(kind, event_reasons.WAITING, f"{reason}: {message}")
    if status == "False":
        note_interruption(draft)
    draft.set_condition(SCHEDULED, status, reason, message)
    draft.set_phase("Pending", f"{reason}: {message}")


def _run(draft: Draft, pod: PodRecord) -> None:
    if not draft.started:
        draft.set(start_time=timestamp(draft.now))
        draft.note("Normal", event_reasons.RUNNING, f"the pod {pod.name} runs")
    draft.set_condition(SCHEDULED, "True", POD_SCHEDULED, "a node was found")
    draft.set_phase("Running", f"the pod {pod.name} runs")
