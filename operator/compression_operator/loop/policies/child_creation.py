"""The single child Job of a job: created once, adopted if it exists, and created again after a deletion."""

from dataclasses import replace
from typing import Final

from compression_operator.cache.writers import Writer
from compression_operator.child.job import child_job
from compression_operator.cluster.errors import Invalid, Refused
from compression_operator.loop.draft import MAX_MESSAGE, Draft
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.policies import budget, deadline, retention
from compression_operator.loop.refusal import other_job
from compression_operator.records.child import ChildRecord
from compression_operator.telemetry import event_reasons
from compression_operator.telemetry.notes import EventType
from compressionjob.conditions import (
    ACCEPTED,
    CHILD_CONFLICT,
    CHILD_LOST,
    DESTINATION_IN_USE,
    INVALID_RUNTIME,
    NO_VERDICT_YET,
    PODS_LEFT,
    RESUMED,
    SCHEDULED,
    SLA_SATISFIED,
    SUSPENDED,
    SUSPENDED_BY_USER,
    VALID,
    WAITING_FOR_POD,
)
from compressionjob.job_parts import PUBLISH
from compressionjob.objectives import sets_limits
from compressionjob.report import JudgedResult
from compressionjob.status import ChildReference
from compressionjob.verdict import NO_LIMITS_WARNING

ADMISSION_REQUEUE: Final = 300.0
"""Seconds until the next reconcile of a job whose Job was refused; ``loop.admission`` decides about earlier retries."""
DESTINATION_REQUEUE: Final = 60.0
"""Seconds until the next reconcile of a job whose destination is in use; the end of the writer triggers one at once."""


def create(draft: Draft) -> ReconcilePlan | None:
    """ReconcilePlan the child of an accepted job that has none."""
    observed = draft.observed
    if observed.child is not None:
        return None
    job, before = observed.job, draft.before
    if observed.foreign_child is not None:
        _refuse_foreign(draft, observed.foreign_child)
        return draft.plan()
    if observed.stranger is not None:
        return _delete_stranger(draft, observed.stranger)
    if job.suspend and job.queue:
        # A queue sets `suspend` of its Jobs. So a suspended job creates no Job at all.
        draft.set_condition(ACCEPTED, "True", VALID, "the specification can work")
        draft.set_condition(SUSPENDED, "True", SUSPENDED_BY_USER, "spec.suspend is true; the queue has no Job")
        draft.set_phase("Suspended", "held: spec.suspend is true")
        return draft.plan()
    if observed.refusal is not None:
        _wait_for_admission(draft, observed.refusal)
        return draft.plan()
    lost = before.child_job is not None
    if lost and not observed.confirmed:
        return ReconcilePlan(confirm=True)
    if observed.blocker is not None and not job.suspend:
        wait_for_destination(draft, observed.blocker)
        return draft.plan()
    failed_before = before.retries + (1 if lost else 0)
    if failed_before > job.retries:
        _give_up(draft)
        return draft.plan()
    accepted = draft.accepted
    price = accepted.runtime.price_per_hour
    if budget.is_spent(draft, price):
        return draft.plan()
    time_left = deadline.left(draft)
    manifest = child_job(
        job,
        accepted.spec,
        accepted.runtime,
        accepted.stores,
        retries_before=failed_before,
        deadline=time_left,
        review=before.review,
        judged=_judged(draft),
    )
    return ReconcilePlan(create=budget.limited(draft, manifest, price, time_left))


def adopt(draft: Draft) -> ReconcilePlan | None:
    """Record a child in the status."""
    child, known = draft.child, draft.before.child_job
    if known is not None and known.uid == child.uid:
        return None
    job = draft.observed.job
    draft.set(child_job=ChildReference(name=child.name, uid=child.uid), part=job.part)
    draft.set(measuring_runtime=job.measuring_runtime if job.measuring_runtime != job.runtime else "")
    draft.set(stores=child.store_connections())
    draft.set(children_created=draft.before.children_created + 1, queue=child.queue)
    if not draft.before.children_created:
        draft.set(retention=retention.lifetimes_of(job, draft.observed.runtime))
    draft.set_condition(ACCEPTED, "True", VALID, "the specification can work")
    draft.set_condition(SCHEDULED, "False", WAITING_FOR_POD, "the Job has no pod yet")
    if known is None and draft.before.verdict is None:
        draft.set_condition(SLA_SATISFIED, "Unknown", NO_VERDICT_YET, "nothing has been measured yet")
    if known is None:
        if not draft.before.children_created and not sets_limits(job.spec()):
            draft.note("Warning", event_reasons.NO_LIMITS, NO_LIMITS_WARNING)
        draft.note("Normal", event_reasons.STARTED, f"created the Job {child.name}")
    else:
        draft.note("Warning", event_reasons.RECREATED, f"the Job {child.name} was deleted, and created again")
    return None


def wait_for_destination(draft: Draft, blocker: Writer) -> None:
    """Let a job wait until no other writer uses its destination, so that two models are never mixed."""
    job = draft.observed.job
    if blocker.job_uid == job.uid:
        reason = PODS_LEFT
        message = (
            f"an earlier pod of this job, {blocker.name}, has not ended; the job continues when it has, and "
            f"`kubectl delete pod {blocker.name}` ends it now"
        )
    else:
        reason = DESTINATION_IN_USE
        where = job.spec().get("output", {}).get("destination", "")
        other = other_job(draft, blocker.namespace, blocker.job)
        message = (
            f"spec.output.destination ({where}): pods of {other} may write there or around it; this job starts when "
            "they have ended"
        )
    wait_to_start(draft, "Warning", reason, message, DESTINATION_REQUEUE)


def wait_to_start(draft: Draft, kind: EventType, reason: str, message: str, seconds: float) -> None:
    """Let an accepted job wait without a child; record one Event, and requeue the job after ``seconds``."""
    old = draft.condition(SCHEDULED)
    if old is None or old.reason != reason:
        draft.note(kind, event_reasons.WAITING, message)
    draft.set_condition(ACCEPTED, "True", VALID, "the specification can work")
    draft.set_condition(SCHEDULED, "False", reason, message)
    _mark_resumed(draft)
    draft.set_phase("Pending", message)
    draft.requeue_after(seconds)


def _mark_resumed(draft: Draft) -> None:
    """State that the user has resumed the job; its queue is changed when the job starts."""
    suspended = draft.condition(SUSPENDED)
    if suspended is not None and suspended.status == "True" and not draft.observed.job.suspend:
        draft.set_condition(SUSPENDED, "Unknown", RESUMED, "spec.suspend is false; the job waits to resume")


def _delete_stranger(draft: Draft, stranger: ChildRecord) -> ReconcilePlan:
    text = f"the Job {stranger.name} claims to belong to this job, but the operator did not create it; it is deleted"
    draft.note("Warning", event_reasons.STRANGER_DELETED, text)
    return replace(draft.plan(), status=None, delete_child=stranger)


def _judged(draft: Draft) -> JudgedResult | None:
    """Return the result that a pod may publish after the review: exactly the one of the verdict in the status."""
    before = draft.before
    if draft.observed.job.part != PUBLISH or not before.digest:
        return None
    return JudgedResult(digest=before.digest, checkpoint=before.checkpoint, report_digest=before.report_digest)


def _give_up(draft: Draft) -> None:
    job = draft.observed.job
    draft.finish(
        "Failed",
        CHILD_LOST,
        f"the Job {job.child_name} of this job was deleted, and spec.retries ({job.retries}) allows no other; "
        "find out who deletes it, and run the job again",
    )


def _refuse_foreign(draft: Draft, foreign: ChildRecord) -> None:
    draft.finish(
        "Failed",
        CHILD_CONFLICT,
        f"metadata.name ({draft.observed.job.name}): a Job {foreign.name} exists and belongs to something else; "
        "delete that Job, or delete this job and give it another name",
    )


def _wait_for_admission(draft: Draft, refusal: Refused) -> None:
    """Let a job wait whose child the API server refused: by quota or policy, or for a field of the runtime."""
    message = f"the API server refused {refusal.subject}: {refusal.message}"
    if isinstance(refusal, Invalid):
        draft.set_condition(ACCEPTED, "False", INVALID_RUNTIME, message)
    else:
        draft.set_condition(ACCEPTED, "True", VALID, "the specification can work")
        draft.set_condition(SCHEDULED, "False", WAITING_FOR_POD, message)
    _mark_resumed(draft)
    draft.set_phase("Pending", message)
    if draft.before.message != message[:MAX_MESSAGE]:
        draft.note("Warning", event_reasons.CHILD_FAILED, message)
    draft.requeue_after(ADMISSION_REQUEUE)
