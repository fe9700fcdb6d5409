"""Plan the next steps of a job from its observed state: a pure function, with the time as an argument."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from compression_operator.cache.observed_job import ObservedJob
from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.policies import (
    acceptance,
    budget,
    child_creation,
    completion,
    cost,
    deadline,
    deadline_forecast,
    failure,
    interruptions,
    measuring_slot,
    notifications,
    progress,
    retention,
    retries,
    review,
    scheduling,
    suspension,
    terms,
    ttl,
)

Policy = Callable[[Draft], ReconcilePlan | None]
"""Writes into the draft; a returned plan ends the reconcile, None continues with the next policy."""

POLICIES: Final[tuple[Policy, ...]] = (
    # 1. Record the outcomes of notifications. The status of an ended job does not change: its files are removed when
    # their lifetimes have passed, and then the job itself when its ttl has passed.
    notifications.settle,
    retention.clean,
    ttl.expire,
    notifications.check,
    # 2. Account for the cost and the time of each pod that ran; count the pods that were preempted.
    cost.account,
    deadline.account,
    interruptions.count,
    # 3. A result that needs a review waits, without a pod.
    review.decide,
    # 4. A job without a child is validated before it gets one: otherwise it is refused, or waits for its runtime.
    acceptance.accept,
    # 5. A job without a child waits for jobs that wait for a measuring slot. There is one child Job for each part,
    # created once; a deleted one is replaced as often as retries allow.
    measuring_slot.hold_back,
    child_creation.create,
    child_creation.adopt,
    # 6. A child that has ended leads to the next part, or ends the job with a verdict or a reason. If the summary of
    # its pod is missing, the state is read again.
    completion.conclude,
    failure.conclude,
    # 7. Count and report failed attempts, and settings that exceed a limit.
    retries.count,
    terms.keep,
    # 8. Suspending a job frees its hardware; resuming continues with the rest of its deadline.
    deadline.keep,
    suspension.hold,
    budget.guard,
    # 9. State where the pod is and why it does not run yet, its progress, and whether it meets the deadline.
    scheduling.place,
    progress.show,
    deadline_forecast.watch,
)
"""The policies in their order; each has a file of its own."""


def reconcile(observed: ObservedJob, now: datetime) -> ReconcilePlan:
    """Return the next steps for one CompressionJob.

    A job that is being deleted needs no steps: Kubernetes deletes its child and pods by their owner references.
    """
    if observed.job.deleting:
        return ReconcilePlan()
    draft = Draft(observed, now)
    for policy in POLICIES:
        plan = policy(draft)
        if plan is not None:
            return plan
    return draft.plan()
