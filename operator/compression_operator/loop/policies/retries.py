"""Failed attempts: counted over all children of a job, each with an Event. Preemption does not count."""

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.policies.failure import cause_of, last_failed
from compression_operator.telemetry import event_reasons


def count(draft: Draft) -> ReconcilePlan | None:
    """Record the number of failed attempts. The Job controller does not count pods that its failure policy ignores."""
    child = draft.child
    failed = max(draft.before.retries, child.retries_before + child.failed)
    if failed == draft.before.retries:
        return None
    draft.set(retries=failed)
    pod = last_failed(draft.observed.pods)
    if child.failed and pod is not None:
        cause = cause_of(pod, draft.observed.runtime)
        allowed = draft.observed.job.retries
        text = f"attempt {failed} of {allowed + 1} failed: {cause.message}"
        draft.note("Warning", event_reasons.RETRYING, text, cause=cause.reason)
    return None
