"""Tries that failed: counted over all children of a job, told one by one. Preemption does not count."""

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import Plan
from compression_operator.loop.policies.failure import cause_of, last_failed
from compression_operator.telemetry import event_reasons


def count(draft: Draft) -> Plan | None:
    """Note how many tries have failed. The Job controller does not count pods that its failure policy ignores."""
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
