"""Deletion of ended jobs after their ttl."""

from datetime import timedelta
from typing import Final

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.policies import notifications, retention
from compression_operator.records.reading import parse_time
from compression_operator.telemetry import event_reasons

NOTIFICATION_GRACE: Final = timedelta(hours=1)
"""How much longer a job with pending notifications is kept: its deletion would drop them."""


def expire(draft: Draft) -> ReconcilePlan | None:
    """End the plan of an ended job, and delete the job when its ttl has passed; without a ttl it is kept for ever.

    A job whose files have a lifetime stays until they are removed, since only the job triggers the removal.
    """
    if not draft.observed.job.ended:
        return None
    if not retention.keeps(draft):
        _delete_when_due(draft)
    return draft.plan()


def _delete_when_due(draft: Draft) -> None:
    job = draft.observed.job
    if job.ttl is None or not draft.before.completion_time:
        return
    expires = parse_time(draft.before.completion_time) + timedelta(seconds=job.ttl)
    if notifications.unsettled(draft):
        expires += NOTIFICATION_GRACE
    remaining = (expires - draft.now).total_seconds()
    if remaining > 0:
        draft.requeue_after(remaining)
        return
    draft.note("Normal", event_reasons.EXPIRED, f"the job ended at {draft.before.completion_time}; its ttl has passed")
    draft.delete_job()
