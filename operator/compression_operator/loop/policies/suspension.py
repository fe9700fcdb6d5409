"""Suspend and resume a job: ``spec.suspend`` becomes the child's ``suspend``.

If a queue such as Kueue owns that field, the operator changes the child's Workload instead, since the queue would
revert a change of ``suspend``.
"""

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.policies import child_creation, deadline, deadline_forecast, interruptions, scheduling
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import QUEUED, RESUMED, SCHEDULED, SUSPENDED, SUSPENDED_BY_USER, SUSPENDING


def hold(draft: Draft) -> ReconcilePlan | None:
    """Suspend or resume the child as wanted; end the plan of a job that its user or a queue suspends."""
    held = _is_held_in_queue(draft) if draft.child.queue else _is_held(draft)
    if not held:
        return None
    deadline_forecast.pause(draft)
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
    if child.active == 0 and not deadline.has_pods(draft):  # until the pod has ended, the state stays
        _begin_suspension(draft)
    return True


def _is_held_in_queue(draft: Draft) -> bool:
    """Return whether a queued job is suspended: by its user, or by its queue."""
    child, at_rest = draft.child, draft.child.suspended and draft.child.active == 0 and not deadline.has_pods(draft)
    if draft.observed.job.suspend:
        if not at_rest or not _is_suspended(draft):
            draft.set_queued(wanted=False)
        if at_rest:
            _begin_suspension(draft)
        elif not _is_suspending(draft):
            draft.set_condition(SUSPENDED, "Unknown", SUSPENDING, "spec.suspend is true; the pod is ending")
        return True
    if _is_suspending(draft) and _waits_for_destination(draft):
        return True
    if _is_suspending(draft):
        draft.set_queued(wanted=True)
    _end_suspension(draft)
    if not child.suspended:
        return False
    if at_rest:  # the pod of an evicted job exists for a moment
        _wait_in_queue(draft)
    return True


def _waits_for_destination(draft: Draft) -> bool:
    """Return whether a resumed job waits, since another writer uses its destination now."""
    if draft.observed.blocker is None:
        return False
    child_creation.wait_for_destination(draft, draft.observed.blocker)
    return True


def _is_suspending(draft: Draft) -> bool:
    """Return whether the queue was asked to suspend the child; its pod may still run."""
    suspended = draft.condition(SUSPENDED)
    return suspended is not None and suspended.status != "False"


def _is_suspended(draft: Draft) -> bool:
    suspended = draft.condition(SUSPENDED)
    return suspended is not None and suspended.status == "True"


def _begin_suspension(draft: Draft) -> None:
    applied_suspended = draft.before.child_job is None
    if not _is_suspended(draft) and not applied_suspended:
        draft.note("Normal", event_reasons.SUSPENDED, "spec.suspend is true; the pod is gone")
    draft.set_condition(SUSPENDED, "True", SUSPENDED_BY_USER, "spec.suspend is true")
    draft.set_phase("Suspended", "held: spec.suspend is true")


def _end_suspension(draft: Draft) -> None:
    if _is_suspending(draft):
        draft.set_condition(SUSPENDED, "False", RESUMED, "spec.suspend is false")
        draft.note("Normal", event_reasons.RESUMED, "spec.suspend is false; the job continues")


def _wait_in_queue(draft: Draft) -> None:
    again = " again, until there is room; it continues from its checkpoints" if draft.started else ""
    message = f"waiting in the queue {draft.child.queue}{again}"
    scheduling.note_interruption(draft)
    placed = draft.condition(SCHEDULED)
    if placed is not None and placed.status == "True":
        interruptions.count_eviction_by_queue(draft)
    draft.set_condition(SCHEDULED, "False", QUEUED, message)
    draft.set_phase("Pending", message)
