"""The budget of a job's pods: the child's own clock ends it in time, even while no operator runs.

Kubernetes has one clock for a Job, ``activeDeadlineSeconds``, and counts it from the Job's start, waiting included. It
is set to the earlier end of spec.deadline and budget, and moved on while no pod runs, since waiting costs nothing.
"""

from datetime import timedelta
from typing import Any, Final

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.policies import deadline
from compression_operator.records.annotations import DEADLINE_ANNOTATION, NO_DEADLINE
from compression_operator.records.child import ChildRecord
from compression_operator.records.reading import parse_time
from compressionjob.conditions import BUDGET_EXCEEDED
from compressionjob.cost import SECONDS_PER_HOUR, cost_of, format_cost
from compressionjob.field_types import format_duration

ENDING: Final = 30.0
"""Seconds that a pod may take to end (Kubernetes' terminationGracePeriodSeconds): they cost, too."""
ENDING_SHARE: Final = 0.1
"""Maximum share of a budget that is reserved for the pod's end."""
SLACK: Final = 5.0
SLACK_SHARE: Final = 0.1
"""Tolerance of the clock while no pod runs, in seconds and as a share of the remaining time."""
ROUNDING: Final = 2.0
"""Tolerance of the clock while a pod runs, for rounding to whole seconds."""

_SECOND: Final = timedelta(seconds=1)


def is_spent(draft: Draft, price: float | None) -> bool:
    """End a job that cannot afford another pod at this price; return whether it was ended."""
    budget = draft.observed.job.budget
    if budget is None or price is None or _seconds_left(draft, budget, price) >= 1:
        return False
    draft.finish("Failed", BUDGET_EXCEEDED, exceeded(draft))
    return True


def limited(draft: Draft, manifest: dict[str, Any], price: float | None, time_left: int | None) -> dict[str, Any]:
    """Return the manifest with its clock set to the rest of the budget, if that ends before the deadline."""
    budget = draft.observed.job.budget
    if budget is None or price is None:
        return manifest
    left = max(1, int(_seconds_left(draft, budget, price)))
    manifest["metadata"]["annotations"][DEADLINE_ANNOTATION] = NO_DEADLINE if time_left is None else str(time_left)
    manifest["spec"]["activeDeadlineSeconds"] = left if time_left is None else min(time_left, left)
    return manifest


def guard(draft: Draft) -> ReconcilePlan | None:
    """Keep the child's clock at the end of the budget, and requeue the job for that time."""
    budget, child = draft.observed.job.budget, draft.child
    if budget is None or child.price is None or child.suspended:
        return None
    left = _seconds_left(draft, budget, child.price)
    running = draft.usage.running
    slack = ROUNDING if running else max(SLACK, SLACK_SHARE * left)
    draft.requeue_after(max(SLACK, left if running else slack))
    elapsed = (draft.now - parse_time(child.start_time)) / _SECOND if child.start_time else 0.0
    target = max(1, int(elapsed + left))
    seconds = deadline.limit(draft)
    wanted = target if seconds is None else min(target, seconds)
    if child.clock is None or child.clock > wanted + ROUNDING or child.clock < min(wanted, target - slack):
        draft.patch_child({"activeDeadlineSeconds": wanted})
    return None


def ended_it(draft: Draft, child: ChildRecord) -> bool:
    """Return whether the clock of a child ended it because of its budget, not because of its deadline."""
    if draft.observed.job.budget is None or child.clock is None:
        return False
    return child.deadline is None or child.clock < child.deadline


def exceeded(draft: Draft) -> str:
    """Return the message for the end of the job: the usage, the budget and the remedy."""
    usage, budget = draft.usage, draft.observed.job.budget or 0.0
    ran = format_duration(usage.seconds) if usage.seconds else "no time"
    return (
        f"spec.budget ({budget:g}) would be exceeded: {format_cost(usage.cost or 0.0)} was used, by pods that ran "
        f"{ran} together; run the job again with a larger budget, its checkpoints are kept"
    )


def _seconds_left(draft: Draft, budget: float, price: float) -> float:
    """Return how many seconds a pod may still run at this price, less the time for its end."""
    whole = SECONDS_PER_HOUR * budget / price
    spent = draft.usage.cost or 0.0
    return round((budget - spent) / cost_of(1.0, price) - min(ENDING, ENDING_SHARE * whole), 3)
