"""Pods that were taken away though they did not fail: counted one by one, and bounded by maxInterruptions."""

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import Plan
from compression_operator.records.pod import PodRecord
from compressionjob.usage import Interruptions


def count(draft: Draft) -> Plan | None:
    """Count the pods that had a node and lost it to preemption, eviction or a drain.

    Pods of a job run one after the other, so the newest that was counted tells which ones are new.
    """
    known = draft.interruptions
    lost = sorted(_order(pod) for pod in draft.observed.pods if pod.disrupted is not None and pod.scheduled)
    new = [item for item in lost if item > (known.created, known.pod)]
    if new:
        created, uid = new[-1]
        draft.set(interruptions=Interruptions(count=known.count + len(new), pod=uid, created=created))
    return None


def taken_back(draft: Draft) -> None:
    """Count that its queue took a job back that had a node, unless its pod is counted as preempted just now."""
    known, before = draft.interruptions, draft.before.interruptions or Interruptions()
    if known.count != before.count:
        return
    draft.set(interruptions=known.model_copy(update={"count": known.count + 1}))
    if exceeded(draft):
        draft.look_again(0)


def exceeded(draft: Draft) -> str:
    """Return why a job that lost its pod too often ends, with the remedy; "" where it goes on."""
    allowed, times = draft.observed.job.settings.max_interruptions, draft.interruptions.count
    if allowed is None or times <= allowed:
        return ""
    lost = "once" if times == 1 else f"{times} times"
    return (
        f"the job lost its pod {lost} to preemption, eviction or its queue, and maxInterruptions is {allowed}; apply "
        "it again with a higher value, or on a runtime with a higher priority: its checkpoints are kept"
    )


def _order(pod: PodRecord) -> tuple[str, str]:
    return pod.created, pod.uid
