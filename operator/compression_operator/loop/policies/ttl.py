"""How long an ended job is kept."""

from datetime import timedelta
from typing import Final

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import Plan
from compression_operator.loop.policies import notifications, retention
from compression_operator.records.reading import parse_time
from compression_operator.telemetry import event_reasons

PATIENCE: Final = timedelta(hours=1)
"""How much longer a job is kept that receivers have not been told of: what it owes them goes with it."""


def expire(draft: Draft) -> Plan | None:
    """Leave an ended job as it ended, and delete it when its ttl has passed; without a ttl it is kept for ever.

    A job whose files have a lifetime stays until they are removed: without it nothing would remove them.
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
        expires += PATIENCE
    remaining = (expires - draft.now).total_seconds()
    if remaining > 0:
        draft.look_again(remaining)
        return
    draft.note("Normal", event_reasons.EXPIRED, f"the job ended at {draft.before.completion_time}; its ttl has passed")
    draft.delete_job()
