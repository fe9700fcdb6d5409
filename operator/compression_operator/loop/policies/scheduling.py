"""Where the pod is: not there, not placed, not started (and why, in the words of whoever knows), or running."""

from datetime import timedelta
from typing import Final, Literal

from compression_operator.loop.draft import Draft, timestamp
from compression_operator.loop.plan import Plan
from compression_operator.records.child import ChildRecord
from compression_operator.records.pod import PodRecord
from compression_operator.records.reading import Mark, parse_time
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import (
    CONTAINER_CONFIG_ERROR,
    IMAGE_PULL_FAILED,
    POD_SCHEDULED,
    SCHEDULED,
    UNSCHEDULABLE,
    WAITING_FOR_POD,
)

PATIENCE: Final = timedelta(seconds=30)
"""How long the Job controller may take to make a pod before the message says where to look."""

# What a kubelet calls its troubles before a container runs. It goes on trying in all of these.
_TROUBLES: Final = {
    "ErrImagePull": IMAGE_PULL_FAILED,
    "ImagePullBackOff": IMAGE_PULL_FAILED,
    "InvalidImageName": IMAGE_PULL_FAILED,
    "ErrImageNeverPull": IMAGE_PULL_FAILED,
    "ImageInspectError": IMAGE_PULL_FAILED,
    "RegistryUnavailable": IMAGE_PULL_FAILED,
    "CreateContainerConfigError": CONTAINER_CONFIG_ERROR,
    "CreateContainerError": CONTAINER_CONFIG_ERROR,
    "RunContainerError": CONTAINER_CONFIG_ERROR,
}


def place(draft: Draft) -> Plan | None:
    """State where the pod is."""
    pod = current_pod(draft.observed.pods)
    if pod is None:
        _wait_for_pod(draft, draft.child)
    elif is_running(pod):
        _run(draft, pod)
    elif pod.unschedulable is not None:
        _say(draft, "False", UNSCHEDULABLE, pod.unschedulable.message or "the scheduler found no node")
    elif not pod.scheduled:
        draft.set_condition(SCHEDULED, "False", WAITING_FOR_POD, f"the pod {pod.name} waits for the scheduler")
        draft.set_phase("Pending", f"the pod {pod.name} waits for the scheduler")
    else:
        _start(draft, pod, pod.waiting)
    return None


def is_running(pod: PodRecord) -> bool:
    """Whether the runner's container works."""
    return pod.running or pod.phase == "Running"


def current_pod(pods: tuple[PodRecord, ...]) -> PodRecord | None:
    """The pod that works or will work: the newest that has not ended."""
    alive = [pod for pod in pods if not pod.over and not pod.deleting]
    return max(alive, key=lambda pod: (pod.created, pod.version), default=None)


def _wait_for_pod(draft: Draft, child: ChildRecord) -> None:
    if draft.started:
        message = "the next pod is on its way"
    elif child.created and draft.now - parse_time(child.created) > PATIENCE:
        message = f"no pod was made (quota, admission?); `kubectl describe job {child.name}` tells why"
    else:
        message = "the Job has no pod yet"
        draft.look_again(PATIENCE.total_seconds() + 1)
    _tell_interruption(draft)
    draft.set_condition(SCHEDULED, "False", WAITING_FOR_POD, message)
    draft.set_phase("Pending", message)


def _tell_interruption(draft: Draft) -> None:
    old = draft.condition(SCHEDULED)
    disrupted = [pod for pod in draft.observed.pods if pod.disrupted is not None]
    if old is None or old.status != "True" or not disrupted:
        return
    pod = max(disrupted, key=lambda item: (item.created, item.version))
    if pod.disrupted is not None:
        text = f"pod {pod.name}: {pod.disrupted.reason}: {pod.disrupted.message}; the job goes on from its checkpoints"
        draft.note("Normal", event_reasons.INTERRUPTED, text)


def _start(draft: Draft, pod: PodRecord, waiting: Mark | None) -> None:
    trouble = _TROUBLES.get(waiting.reason) if waiting is not None else None
    if waiting is None or trouble is None:
        draft.set_condition(SCHEDULED, "True", POD_SCHEDULED, "a node was found")
        draft.set_phase("Pending", f"the pod {pod.name} is starting")
    else:
        _say(draft, "True", trouble, waiting.message or waiting.reason)


def _say(draft: Draft, status: Literal["True", "False"], reason: str, message: str) -> None:
    old = draft.condition(SCHEDULED)
    if old is None or old.reason != reason:
        draft.note("Warning", event_reasons.WAITING, f"{reason}: {message}")
    if status == "False":
        _tell_interruption(draft)
    draft.set_condition(SCHEDULED, status, reason, message)
    draft.set_phase("Pending", f"{reason}: {message}")


def _run(draft: Draft, pod: PodRecord) -> None:
    if not draft.started:
        draft.set(start_time=timestamp(draft.now))
        draft.note("Normal", event_reasons.RUNNING, f"the pod {pod.name} runs")
    draft.set_condition(SCHEDULED, "True", POD_SCHEDULED, "a node was found")
    draft.set_phase("Running", f"the pod {pod.name} runs")
