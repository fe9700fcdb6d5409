"""From what is, to what must be done: a pure function, without I/O and with the clock handed in."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from compression_operator.cache.observed import Observed
from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import Plan
from compression_operator.loop.policies import (
    acceptance,
    budget,
    child_creation,
    clock,
    completion,
    cost,
    deadline,
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

Policy = Callable[[Draft], Plan | None]
"""Writes into the draft; a plan ends the look at the job, None leaves it to the next policy."""

POLICIES: Final[tuple[Policy, ...]] = (
    # 1. What receivers were told is noted. A job that has ended stays as it ended: its files are removed when their
    # lifetimes are over, and then the job itself when its time to live is.
    notifications.settle,
    retention.clean,
    ttl.expire,
    notifications.check,
    # 2. Every pod that ran is paid for, whatever became of it, and the deadline knows what was used; pods that were
    # taken away are counted.
    cost.account,
    clock.account,
    interruptions.count,
    # 3. A result that a person must decide about waits, without a pod.
    review.decide,
    # 4. A job without a child must be able to work before it gets one: else it is refused, or waits for its runtime.
    acceptance.accept,
    # 5. A job without a child lets those go first that wait to be measured. There is one child Job for each part,
    # created once; one that was deleted is replaced as often as retries allow.
    measuring_slot.let_measure_first,
    child_creation.bring_up,
    child_creation.adopt,
    # 6. A child that has ended makes room for the next part, or ends the job with a verdict or a reason; where the
    # pod's words are missing, look again.
    completion.conclude,
    failure.conclude,
    # 7. Tries that failed are counted and told, and settings that were raised over a limit.
    retries.count,
    terms.keep,
    # 8. Whoever suspends the job gets its hardware back, and resuming goes on with what was left of its deadline.
    clock.keep,
    suspension.hold,
    budget.guard,
    # 9. Where is the pod, and why does it not run yet; how far has it come, and will it be done in time.
    scheduling.place,
    progress.show,
    deadline.watch,
)
"""Every policy has a file of its own; this is their order."""


def reconcile(observed: Observed, now: datetime) -> Plan:
    """Return the next steps for one CompressionJob.

    A job that is being deleted needs nothing: its child and pods go with it, by their owner references.
    """
    if observed.job.deleting:
        return Plan()
    draft = Draft(observed, now)
    for policy in POLICIES:
        plan = policy(draft)
        if plan is not None:
            return plan
    return draft.plan()
