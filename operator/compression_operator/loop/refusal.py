"""Keep a job from getting a child: refuse it, or let it wait for the platform team."""

from compression_operator.loop.draft import Draft
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import ACCEPTED


def refuse(draft: Draft, reason: str, message: str) -> None:
    """End a job that no retry can make work."""
    draft.set_condition(ACCEPTED, "False", reason, message)
    draft.finish("Failed", reason, message)
    draft.note("Warning", event_reasons.REFUSED, message)


def other_job(draft: Draft, namespace: str, name: str) -> str:
    """Return the text for another job in a message: without a name if it is in another namespace."""
    return f"the CompressionJob {name}" if namespace == draft.observed.job.namespace else "a job elsewhere"


def wait(draft: Draft, reason: str, message: str) -> None:
    """Let a job wait for something that the platform team can create or correct."""
    old = draft.condition(ACCEPTED)
    if old is None or old.reason != reason:
        draft.note("Warning", event_reasons.WAITING, message)
    draft.set_condition(ACCEPTED, "False", reason, message)
    draft.set_phase("Pending", message)
