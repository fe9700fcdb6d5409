"""The one child Job of a job: created once, adopted when found, replaced when somebody deletes it."""

from datetime import timedelta
from typing import Final

from compression_operator.child.job import child_job, child_name
from compression_operator.cluster.errors import Invalid, Refused
from compression_operator.loop.draft import MAX_MESSAGE, Draft
from compression_operator.loop.plan import Plan
from compression_operator.loop.policies import budget
from compression_operator.records.child import ChildRecord
from compression_operator.records.reading import parse_time
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import (
    ACCEPTED,
    CHILD_CONFLICT,
    CHILD_LOST,
    INVALID_RUNTIME,
    NO_VERDICT_YET,
    SCHEDULED,
    SLA_SATISFIED,
    SUSPENDED,
    SUSPENDED_BY_USER,
    VALID,
    WAITING_FOR_POD,
)
from compressionjob.parts import PUBLISH
from compressionjob.schema import parse_duration
from compressionjob.status import ChildReference

ADMISSION_PATIENCE: Final = 300.0
"""Seconds until a job whose Job was refused is looked at; ``loop.admission`` says when that is offered again."""


def bring_up(draft: Draft) -> Plan | None:
    """Plan the child of an accepted job that has none."""
    observed = draft.observed
    if observed.child is not None:
        return None
    job, before = observed.job, draft.before
    if observed.foreign_child is not None:
        _refuse_foreign(draft, observed.foreign_child)
        return draft.plan()
    if job.suspend and job.queue:
        # A queue decides about `suspend` of the Jobs it knows; so a held job is not shown to it at all.
        draft.set_condition(ACCEPTED, "True", VALID, "the specification can work")
        draft.set_condition(SUSPENDED, "True", SUSPENDED_BY_USER, "spec.suspend is true; no Job was given to the queue")
        draft.set_phase("Suspended", "held: spec.suspend is true")
        return draft.plan()
    if observed.refusal is not None:
        _wait_for_admission(draft, observed.refusal)
        return draft.plan()
    lost = before.child_job is not None
    if lost and not observed.confirmed:
        return Plan(confirm=True)
    failed_before = before.retries + (1 if lost else 0)
    if failed_before > job.retries:
        _give_up(draft)
        return draft.plan()
    accepted = draft.accepted
    price = accepted.runtime.price_per_hour
    if budget.is_spent(draft, price):
        return draft.plan()
    # A person's time is not the job's: the deadline is over when the verdict is out.
    deadline = None if job.part == PUBLISH else _remaining(draft, accepted.spec.deadline)
    manifest = child_job(
        job, accepted.spec, accepted.runtime, retries_before=failed_before, deadline=deadline, review=before.review
    )
    return Plan(create=budget.limited(draft, manifest, price, deadline))


def adopt(draft: Draft) -> Plan | None:
    """Note a child that the status does not know yet."""
    child, known = draft.child, draft.before.child_job
    if known is not None and known.uid == child.uid:
        return None
    draft.set(child_job=ChildReference(name=child.name, uid=child.uid), part=draft.observed.job.part)
    draft.set(children_created=draft.before.children_created + 1)
    draft.set_condition(ACCEPTED, "True", VALID, "the specification can work")
    draft.set_condition(SCHEDULED, "False", WAITING_FOR_POD, "the Job has no pod yet")
    if known is None and draft.before.verdict is None:
        draft.set_condition(SLA_SATISFIED, "Unknown", NO_VERDICT_YET, "nothing has been measured yet")
    if known is None:
        draft.note("Normal", event_reasons.STARTED, f"created the Job {child.name}")
    else:
        draft.note("Warning", event_reasons.RECREATED, f"somebody deleted the Job {child.name}; created it again")
    return None


def _give_up(draft: Draft) -> None:
    job = draft.observed.job
    draft.finish(
        "Failed",
        CHILD_LOST,
        f"somebody deleted the Job {child_name(job)} of this job, and spec.retries ({job.retries}) allows no other; "
        "find out who deletes it, and apply the job again",
    )


def _refuse_foreign(draft: Draft, foreign: ChildRecord) -> None:
    draft.finish(
        "Failed",
        CHILD_CONFLICT,
        f"metadata.name ({draft.observed.job.name}): a Job {foreign.name} exists and belongs to something else; "
        "delete that Job, or delete this job and give it another name",
    )


def _wait_for_admission(draft: Draft, refusal: Refused) -> None:
    """The API server did not take the child: a quota or policy in its way, or a field that comes from the runtime."""
    message = f"the API server refused the Job: {refusal.message}"
    if isinstance(refusal, Invalid):
        draft.set_condition(ACCEPTED, "False", INVALID_RUNTIME, message)
    else:
        draft.set_condition(ACCEPTED, "True", VALID, "the specification can work")
        draft.set_condition(SCHEDULED, "False", WAITING_FOR_POD, message)
    draft.set_phase("Pending", message)
    if draft.before.message != message[:MAX_MESSAGE]:
        draft.note("Warning", event_reasons.CHILD_FAILED, message)
    draft.look_again(ADMISSION_PATIENCE)


def _remaining(draft: Draft, text: str | None) -> int | None:
    """Seconds that the deadline leaves. A replaced child gets what its predecessor had not used, as far as is known."""
    if text is None:
        return None
    left = parse_duration(text)
    if draft.before.start_time and draft.condition(SUSPENDED) is None:
        left -= (draft.now - parse_time(draft.before.start_time)) / timedelta(seconds=1)
    return max(1, round(left))
