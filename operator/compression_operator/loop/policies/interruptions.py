"""Interruptions: pods that were disrupted without a failure, counted and limited by maxInterruptions."""

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.records.pod import PodRecord
from compressionjob.usage import Interruptions


def count(draft: Draft) -> ReconcilePlan | None:
    """Count the pods that had a node and lost it to preemption, eviction or a drain.

    Pods of a job run one after the other, so those after the newest counted one are new.
    """
    known = draft.interruptions
    lost = sorted(_order(pod) for pod in draft.observed.pods if pod.disrupted is not None and pod.scheduled)
    new = [item for item in lost if item > (known.created, known.pod)]
    if new:
        created, uid = new[-1]
        draft.set(interruptions=Interruptions(count=known.count + len(new), pod=uid, created=created))
    return None


def count_eviction_by_queue(draft: Draft) -> None:
    """Count an eviction of a placed job by its queue, unless this plan has already counted its pod as preempted."""
    known, before = draft.interruptions, draft.before.interruptions or Interruptions()
    if known.count != before.count:
        return
    draft.set(interruptions=known.model_copy(update={"count": known.count + 1}))
    if exceeded(draft):
        draft.requeue_after(0)


def exceeded(draft: Draft) -> str:
    """Return why a job with too many interruptions ends, with the remedy; "" if it may continue."""
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
