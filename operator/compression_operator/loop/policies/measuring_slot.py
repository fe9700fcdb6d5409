"""Jobs that wait for a measuring slot, and jobs that are held back for them."""

from typing import Final

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.policies.child_creation import wait_to_start
from compression_operator.records.pod import PodRecord
from compressionjob.conditions import MEASURING_FIRST, SCHEDULED

REQUEUE: Final = 60.0
"""Seconds until the next reconcile of a job that is held back; a free slot triggers one at once."""
COUNT_INTERVAL: Final = 30.0
COUNTS_PER_SECOND: Final = 20.0
"""Seconds between updates of the number of waiting jobs in a status, and the maximum updates per second."""


def hold_back(draft: Draft) -> ReconcilePlan | None:
    """Hold a job back while others wait to be measured alone on such a node, so that a node becomes free."""
    waiting = draft.observed.measured_first
    if draft.observed.child is not None or not waiting:
        return None
    message = f"{_jobs(waiting)} to be measured alone on a node like this job's; this job begins after that"
    old = draft.condition(SCHEDULED)
    if old is not None and old.reason == MEASURING_FIRST:
        message = old.message  # thousands may be held back at once: the number is not updated
    wait_to_start(draft, "Normal", MEASURING_FIRST, message, REQUEUE)
    return draft.plan()


def waiting_message(draft: Draft, pod: PodRecord) -> str:
    """Return the message of a pod that waits for a slot: the number of waiting jobs, and the scheduler's reason."""
    waiting = max(1, draft.observed.waiting_for_slot)
    draft.requeue_after(max(COUNT_INTERVAL, waiting / COUNTS_PER_SECOND))
    here = "this one" if waiting == 1 else "this one included"
    clock = "; no time of spec.deadline passes" if draft.observed.job.deadline is not None else ""
    return f"{_jobs(waiting)} for a measuring slot, {here}{clock}; the scheduler: {pod.refusal}"


def _jobs(count: int) -> str:
    return "1 job waits" if count == 1 else f"{count} jobs wait"
