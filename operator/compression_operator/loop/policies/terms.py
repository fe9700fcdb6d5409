"""The terms of a job: requirements of the platform team, fixed in its status when it is accepted."""

from collections.abc import Iterator, Mapping
from typing import Final

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import ACCEPTED, VALID
from compressionjob.errors import FieldProblem
from compressionjob.review_rules import stricter
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.runtime_limits import AcceptedSettings, exceeded
from compressionjob.spec import CompressionJobSpec
from compressionjob.terms import Terms, checkpoint_problems, limit_problems, not_allowed, review_problems, terms_of

Runtimes = Mapping[str, CompressionRuntimeSpec]

_WORKS: Final = "the specification can work"


def are_fixed(draft: Draft) -> bool:
    """Return whether the job was accepted before: later changes of a runtime do not affect it."""
    return draft.before.terms is not None or draft.observed.job.begun


def offer(draft: Draft, spec: CompressionJobSpec, runtimes: Runtimes) -> Terms | None:
    """Return the terms of a job: those in its status, or the present ones of its runtimes."""
    if are_fixed(draft):
        return draft.before.terms
    # The defaults of the runtime that compresses come first.
    names = sorted(runtimes, key=lambda name: name != spec.runtime)
    rules = draft.observed.requirements.review_rules
    return terms_of(spec, draft.observed.job.namespace, [runtimes[name] for name in names], rules)


def refusal(draft: Draft, name: str, runtime: CompressionRuntimeSpec) -> str | None:
    """Return why the job's namespace may not use a runtime; None if it may, or the job was accepted before."""
    if are_fixed(draft):
        return None
    return not_allowed(name, runtime, draft.observed.job.namespace, draft.observed.namespace_labels)


def problems(draft: Draft, spec: CompressionJobSpec, runtimes: Runtimes, terms: Terms | None) -> Iterator[FieldProblem]:
    """Yield the fields of a job that violate its terms, before it is accepted."""
    if are_fixed(draft):
        return
    for name, runtime in runtimes.items():
        yield from limit_problems(spec, name, runtime)
    if terms is not None:
        yield from review_problems(spec, terms)
    rules = draft.observed.requirements.review_rules
    yield from checkpoint_problems(spec, draft.observed.job.namespace, list(runtimes.values()), rules)


def author_is_unverified(draft: Draft, terms: Terms | None) -> bool:
    """Return whether the review needs the author, and no admission policy verifies the author."""
    return terms is not None and terms.separation and not draft.observed.requirements.identities_verified


def fix(draft: Draft, spec: CompressionJobSpec, terms: Terms | None) -> ReconcilePlan | None:
    """Write the terms into the status before they take effect; None if there is nothing to write."""
    if terms is None or are_fixed(draft):
        return None
    draft.set(terms=terms)
    draft.set_condition(ACCEPTED, "True", VALID, _WORKS)
    draft.set_phase("Pending", "accepted; its Job is about to be created")
    required = stricter(spec.review, terms.review)
    if required != spec.review:
        text = f"spec.review is {spec.review}, and the platform team requires {required}: {required} holds"
        draft.note("Normal", event_reasons.REVIEW_REQUIRED, text)
    draft.requeue_after(0)
    return draft.plan()


def keep(draft: Draft) -> ReconcilePlan | None:
    """State which settings of an accepted job were raised over its limits: the limits apply."""
    terms, accepted = draft.before.terms, draft.condition(ACCEPTED)
    if terms is None or terms.limits is None or accepted is None or accepted.status != "True":
        return None
    raised = [
        f"spec.{field} is {value}, but {limit} holds, the limit of the runtime when the job was accepted"
        for field, value, limit in exceeded(AcceptedSettings.model_validate(draft.observed.job.spec()), terms.limits)
    ]
    message = "; ".join([_WORKS, *raised])
    if message != accepted.message:
        draft.set_condition(ACCEPTED, "True", VALID, message)
        if raised:
            draft.note("Warning", event_reasons.LIMITED, "; ".join(raised))
    return None
