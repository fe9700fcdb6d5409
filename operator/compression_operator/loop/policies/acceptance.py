"""Whether a job can work at all: said before any pod starts, with the field, its value and the remedy."""

from collections.abc import Iterator
from typing import Final

from compression_operator.child.manifest import manifest_of
from compression_operator.loop.draft import Accepted, Draft
from compression_operator.loop.plan import Plan
from compression_operator.loop.policies import terms
from compression_operator.records.runtime import RuntimeRecord
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import (
    ACCEPTED,
    AUTHOR_NOT_VERIFIED,
    INVALID_RUNTIME,
    INVALID_SPEC,
    RUNTIME_NOT_ALLOWED,
    RUNTIME_NOT_FOUND,
    RUNTIME_WITHOUT_PRICE,
)
from compressionjob.errors import InvalidSpec
from compressionjob.parts import PUBLISH
from compressionjob.placement import misplaced_files, missing_price, too_many_threads
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.spec import CompressionJobSpec, parse_job
from compressionjob.terms import Terms, unpriced_budget

_UNVERIFIED: Final = (
    "author and reviewer must differ, but no admission policy verifies spec.author; let the platform team install the "
    "policies of the chart, which sets --identities-verified"
)


def accept(draft: Draft) -> Plan | None:
    """Let a job without a child start. A spec that cannot work ends the job; a missing runtime is waited for."""
    if draft.observed.child is not None:
        return None
    try:
        spec = parse_job(manifest_of(draft.observed.job)).spec
    except InvalidSpec as error:
        _refuse(draft, str(error))
        return draft.plan()
    runtimes: dict[str, CompressionRuntimeSpec] = {}
    for field, name, record in _runtimes(draft, spec):
        runtime = _runtime(draft, record, field, name)
        if runtime is None or (runtime.price_per_hour is None and _wait_for_price(draft, spec, name)):
            return draft.plan()
        runtimes[name] = runtime
    offered = terms.offer(draft, spec, runtimes)
    if _wait_for_terms(draft, runtimes, offered):
        return draft.plan()
    problems = [problem for name, runtime in runtimes.items() for problem in misplaced_files(spec, name, runtime)]
    if draft.observed.job.part != PUBLISH:
        measuring = draft.observed.job.measuring_runtime
        problems.extend(too_many_threads(spec, measuring, runtimes[measuring]))
    problems.extend(terms.problems(draft, spec, runtimes, offered))
    if problems:
        _refuse(draft, str(InvalidSpec(problems)))
        return draft.plan()
    fixed = terms.fix(draft, spec, offered)
    if fixed is None:
        draft.accept(Accepted(spec, runtimes[draft.observed.job.present_runtime]))
    return fixed


def _wait_for_terms(draft: Draft, runtimes: terms.Runtimes, offered: Terms | None) -> bool:
    """Wait where the terms of a job could not be kept: the platform team can change that."""
    unpriced = unpriced_budget(runtimes, offered)
    if unpriced is not None:
        _wait(draft, RUNTIME_WITHOUT_PRICE, unpriced)
    elif terms.author_is_unverified(draft, offered):
        _wait(draft, AUTHOR_NOT_VERIFIED, _UNVERIFIED)
    else:
        return False
    return True


def _runtimes(draft: Draft, spec: CompressionJobSpec) -> Iterator[tuple[str, str, RuntimeRecord | None]]:
    """Field, name and record of the present part's runtime, and of the one that measures: hours must not end there."""
    job = draft.observed.job
    name, measuring = job.present_runtime, job.measuring_runtime
    there = f"spec.measuring.runtime of the CompressionRuntime {spec.runtime!r}"
    field = "spec.sla.runtime" if spec.sla.runtime else there
    yield ("spec.runtime" if name == spec.runtime else field), name, draft.observed.runtime
    if measuring != name:
        yield field, measuring, draft.observed.measuring_runtime


def _runtime(draft: Draft, found: RuntimeRecord | None, field: str, name: str) -> CompressionRuntimeSpec | None:
    """The runtime, or None when it must be waited for: the platform team can create or mend it."""
    if found is None:
        remedy = (
            "create it, or delete the job and submit it with another (those there are: kubectl get compressionruntimes)"
        )
        _wait(draft, RUNTIME_NOT_FOUND, f"{field}: there is no CompressionRuntime {name!r}; {remedy}")
        return None
    if found.runtime is None:
        _wait(draft, INVALID_RUNTIME, f"{field}: the CompressionRuntime {name!r} is not valid: {found.problem}")
        return None
    refusal = terms.refusal(draft, name, found.runtime.spec)
    if refusal is not None:
        _wait(draft, RUNTIME_NOT_ALLOWED, f"{field}: {refusal}")
        return None
    return found.runtime.spec


def _wait_for_price(draft: Draft, spec: CompressionJobSpec, name: str) -> bool:
    """Wait where a limit on cost could not be kept: the platform team can give the runtime its price."""
    problem = missing_price(spec, name, measures=name == draft.observed.job.measuring_runtime)
    if problem is None:
        return False
    _wait(draft, RUNTIME_WITHOUT_PRICE, str(problem))
    return True


def _refuse(draft: Draft, message: str) -> None:
    draft.set_condition(ACCEPTED, "False", INVALID_SPEC, message)
    draft.finish("Failed", INVALID_SPEC, message)
    draft.note("Warning", event_reasons.REFUSED, message)


def _wait(draft: Draft, reason: str, message: str) -> None:
    old = draft.condition(ACCEPTED)
    if old is None or old.reason != reason:
        draft.note("Warning", event_reasons.WAITING, message)
    draft.set_condition(ACCEPTED, "False", reason, message)
    draft.set_phase("Pending", message)
