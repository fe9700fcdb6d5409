"""Jobs that wait for a measuring slot, and jobs that begin after them."""

from typing import Final

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import Plan
from compression_operator.loop.policies.child_creation import wait_to_begin
from compression_operator.records.pod import PodRecord
from compressionjob.conditions import MEASURING_FIRST, SCHEDULED

PATIENCE: Final = 60.0
"""Seconds until a job that is held back is looked at; that a slot was found is noticed at once."""
COUNT_PATIENCE: Final = 30.0
COUNTS_PER_SECOND: Final = 20.0
"""A waiting job's number of waiting jobs is brought up to date this often, but so many jobs at most in a second."""


def let_measure_first(draft: Draft) -> Plan | None:
    """Hold a job back while others wait to be measured alone on such a node, which would never be empty otherwise."""
    waiting = draft.observed.measured_first
    if draft.observed.child is not None or not waiting:
        return None
    message = f"{_jobs(waiting)} to be measured alone on a node like this job's; this job begins after that"
    old = draft.condition(SCHEDULED)
    if old is not None and old.reason == MEASURING_FIRST:
        message = old.message  # thousands may be held back at once: the number is not updated
    wait_to_begin(draft, "Normal", MEASURING_FIRST, message, PATIENCE)
    return draft.plan()


def waiting_message(draft: Draft, pod: PodRecord) -> str:
    """Say that a pod waits for a slot, with how many others, and why the scheduler found none."""
    waiting = max(1, draft.observed.waiting_for_slot)
    draft.look_again(max(COUNT_PATIENCE, waiting / COUNTS_PER_SECOND))
    here = "this one" if waiting == 1 else "this one included"
    clock = "; no time of spec.deadline passes" if draft.observed.job.deadline is not None else ""
    return f"{_jobs(waiting)} for a measuring slot, {here}{clock}; the scheduler: {pod.refusal}"


def _jobs(count: int) -> str:
    return "1 job waits" if count == 1 else f"{count} jobs wait"
