"""From what is, to what must be done: a pure function, without I/O and with the clock handed in."""

from datetime import datetime

from compression_operator.cache.observed import Observed
from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import Plan
from compression_operator.loop.policies import (
    acceptance,
    budget,
    child_creation,
    completion,
    cost,
    deadline,
    failure,
    notifications,
    progress,
    retries,
    review,
    scheduling,
    suspension,
    ttl,
)


def reconcile(observed: Observed, now: datetime) -> Plan:
    """The next steps for one CompressionJob. Every policy has a file of its own; this is the order of their story."""
    draft = Draft(observed, now)

    # 1. A job that is being deleted needs nothing: its child and pods go with it, by their owner references.
    if observed.job.deleting:
        return Plan()

    # 2. What receivers were told is noted. A job that has ended stays as it ended, until its time to live is over.
    notifications.settle(draft)
    if observed.job.ended:
        ttl.expire(draft)
        return draft.plan()
    notifications.check(draft)

    # 3. Every pod that ran is paid for, whatever became of it.
    cost.account(draft)

    # 4. A result that a person must decide about waits, without a pod.
    if review.decide(draft):
        deadline.pause(draft)
        return draft.plan()

    # 5. A job without a child must be able to work before it gets one: else it is refused, or waits for its runtime.
    # 6. There is one child Job for each part, created once; one that was deleted is replaced as often as retries allow.
    if observed.child is None:
        accepted = acceptance.accept(draft)
        return draft.plan() if accepted is None else child_creation.bring_up(draft, accepted)
    child_creation.adopt(draft, observed.child)

    # 7. A child that has ended makes room for the next part, or ends the job with a verdict or a reason; where the
    # pod's words are missing, look again.
    if completion.is_complete(observed.child):
        return completion.conclude(draft)
    if failure.is_failed(observed.child):
        return failure.conclude(draft, observed.child)

    # 8. Tries that failed are counted and told.
    retries.count(draft, observed.child)

    # 9. Whoever suspends the job gets its hardware back, and resuming goes on.
    if suspension.hold(draft, observed.child):
        deadline.pause(draft)
        return draft.plan()
    budget.guard(draft, observed.child)

    # 10. Where is the pod, and why does it not run yet; how far has it come, and will it be done in time.
    if scheduling.place(draft, observed.child):
        progress.show(draft)
    deadline.watch(draft, observed.child)
    return draft.plan()
