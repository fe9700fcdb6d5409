"""Holding a job and letting it go on: ``spec.suspend`` becomes the child's ``suspend``, unless a queue owns that."""

from datetime import timedelta

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import Plan
from compression_operator.loop.policies import deadline
from compression_operator.records.annotations import DEADLINE_ANNOTATION
from compression_operator.records.child import ChildRecord
from compression_operator.records.reading import parse_time
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import QUEUED, RESUMED, SCHEDULED, SUSPENDED, SUSPENDED_BY_USER


def hold(draft: Draft) -> Plan | None:
    """Bring the child to the wanted state; a job that is held, by its user or by a queue, gets no further."""
    if not _is_held(draft, draft.child):
        return None
    deadline.pause(draft)
    return draft.plan()


def _is_held(draft: Draft, child: ChildRecord) -> bool:
    job = draft.observed.job
    if job.queue:
        _end_suspension(draft)
        return _wait_in_queue(draft, child)
    if job.suspend != child.suspended:
        _suspend(draft, child) if job.suspend else draft.patch_child({"suspend": False})
    if not job.suspend:
        _end_suspension(draft)
        return False
    if child.active == 0:  # until the pod is gone, the job is as it was
        _begin_suspension(draft)
    return True


def _suspend(draft: Draft, child: ChildRecord) -> None:
    # Kubernetes starts activeDeadlineSeconds anew when a Job is resumed: leave it what was not used up.
    if child.deadline is None or not child.start_time:
        draft.patch_child({"suspend": True})
        return
    used = (draft.now - parse_time(child.start_time)) / timedelta(seconds=1)
    left = max(1, round(child.deadline - used))
    noted = {DEADLINE_ANNOTATION: str(left)} if draft.observed.job.budget is not None else None
    draft.patch_child({"suspend": True, "activeDeadlineSeconds": left}, noted)


def _begin_suspension(draft: Draft) -> None:
    old = draft.condition(SUSPENDED)
    applied_so = draft.before.child_job is None
    if (old is None or old.status != "True") and not applied_so:
        draft.note("Normal", event_reasons.SUSPENDED, "spec.suspend is true; the pod is gone")
    draft.set_condition(SUSPENDED, "True", SUSPENDED_BY_USER, "spec.suspend is true")
    draft.set_phase("Suspended", "held: spec.suspend is true")


def _end_suspension(draft: Draft) -> None:
    old = draft.condition(SUSPENDED)
    if old is not None and old.status == "True":
        draft.set_condition(SUSPENDED, "False", RESUMED, "spec.suspend is false")
        draft.note("Normal", event_reasons.RESUMED, "spec.suspend is false; the job goes on")


def _wait_in_queue(draft: Draft, child: ChildRecord) -> bool:
    if not child.suspended:
        return False
    message = f"waiting in the queue {draft.observed.job.queue}"
    draft.set_condition(SCHEDULED, "False", QUEUED, message)
    draft.set_phase("Pending", message)
    return True
