"""Holding a job and letting it go on: ``spec.suspend`` becomes the child's ``suspend``.

Where a queue owns that field, Kueue for one, it is told through the Workload that stands for the child, since it would
take back what somebody else writes.
"""

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import Plan
from compression_operator.loop.policies import child_creation, clock, deadline, interruptions, scheduling
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import QUEUED, RESUMED, SCHEDULED, SUSPENDED, SUSPENDED_BY_USER, SUSPENDING


def hold(draft: Draft) -> Plan | None:
    """Bring the child to the wanted state; a job that is held, by its user or by a queue, gets no further."""
    held = _is_held_in_queue(draft) if draft.child.queue else _is_held(draft)
    if not held:
        return None
    deadline.pause(draft)
    return draft.plan()


def _is_held(draft: Draft) -> bool:
    wanted, child = draft.observed.job.suspend, draft.child
    if child.suspended and not wanted and _waits_for_destination(draft):
        return True
    if wanted != child.suspended:
        draft.patch_child({"suspend": wanted})
    if not wanted:
        _end_suspension(draft)
        return False
    if child.active == 0 and not clock.has_pods(draft):  # until the pod is gone, the job is as it was
        _begin_suspension(draft)
    return True


def _is_held_in_queue(draft: Draft) -> bool:
    """The queue decides whether the child runs, but for what its user wants."""
    child, at_rest = draft.child, draft.child.suspended and draft.child.active == 0 and not clock.has_pods(draft)
    if draft.observed.job.suspend:
        if not at_rest or not _is_suspended(draft):
            draft.set_queued(wanted=False)
        if at_rest:
            _begin_suspension(draft)
        elif not _is_asked(draft):
            draft.set_condition(SUSPENDED, "Unknown", SUSPENDING, "spec.suspend is true; the pod is ending")
        return True
    if _is_asked(draft) and _waits_for_destination(draft):
        return True
    if _is_asked(draft):
        draft.set_queued(wanted=True)
    _end_suspension(draft)
    if not child.suspended:
        return False
    if at_rest:  # a pod that the queue takes away is there for a moment
        _wait_in_queue(draft)
    return True


def _waits_for_destination(draft: Draft) -> bool:
    """A job that goes on has to wait like one that starts, if another has taken its destination meanwhile."""
    if draft.observed.blocker is None:
        return False
    child_creation.wait_for_destination(draft, draft.observed.blocker)
    return True


def _is_asked(draft: Draft) -> bool:
    """Whether the queue was told to let the child rest, be its pod gone or not."""
    told = draft.condition(SUSPENDED)
    return told is not None and told.status != "False"


def _is_suspended(draft: Draft) -> bool:
    told = draft.condition(SUSPENDED)
    return told is not None and told.status == "True"


def _begin_suspension(draft: Draft) -> None:
    applied_so = draft.before.child_job is None
    if not _is_suspended(draft) and not applied_so:
        draft.note("Normal", event_reasons.SUSPENDED, "spec.suspend is true; the pod is gone")
    draft.set_condition(SUSPENDED, "True", SUSPENDED_BY_USER, "spec.suspend is true")
    draft.set_phase("Suspended", "held: spec.suspend is true")


def _end_suspension(draft: Draft) -> None:
    if _is_asked(draft):
        draft.set_condition(SUSPENDED, "False", RESUMED, "spec.suspend is false")
        draft.note("Normal", event_reasons.RESUMED, "spec.suspend is false; the job goes on")


def _wait_in_queue(draft: Draft) -> None:
    again = " again, until there is room; it goes on from its checkpoints" if draft.started else ""
    message = f"waiting in the queue {draft.child.queue}{again}"
    scheduling.tell_interruption(draft)
    placed = draft.condition(SCHEDULED)
    if placed is not None and placed.status == "True":
        interruptions.taken_back(draft)
    draft.set_condition(SCHEDULED, "False", QUEUED, message)
    draft.set_phase("Pending", message)
