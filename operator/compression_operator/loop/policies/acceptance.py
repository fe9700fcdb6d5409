"""Whether a job can work at all: said before any pod starts, with the field, its value and the remedy."""

from collections.abc import Iterator
from typing import Final

from compression_operator.child.manifest import manifest_of, pod_manifest_of
from compression_operator.loop.draft import Accepted, Draft
from compression_operator.loop.plan import Plan
from compression_operator.loop.policies import store_access, terms
from compression_operator.loop.refusal import refuse, wait
from compression_operator.records.runtime import RuntimeRecord
from compressionjob.conditions import (
    AUTHOR_NOT_VERIFIED,
    INVALID_RUNTIME,
    INVALID_SPEC,
    RUNTIME_NOT_ALLOWED,
    RUNTIME_NOT_FOUND,
    RUNTIME_WITHOUT_PRICE,
)
from compressionjob.errors import FieldProblem, InvalidSpec
from compressionjob.parts import PUBLISH
from compressionjob.placement import misplaced_files, missing_price, too_many_threads
from compressionjob.pod_input import MAX_PLAIN_BYTES, size_problems
from compressionjob.retention import too_long
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
        refuse(draft, INVALID_SPEC, str(error))
        return draft.plan()
    if not store_access.check(draft, spec):
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
    problems = [*_misfits(draft, spec, runtimes), *terms.problems(draft, spec, runtimes, offered)]
    if problems:
        refuse(draft, INVALID_SPEC, str(InvalidSpec(problems)))
        return draft.plan()
    fixed = terms.fix(draft, spec, offered)
    if fixed is None:
        runtime = runtimes[draft.observed.job.present_runtime]
        draft.accept(Accepted(spec, runtime, store_access.resolved(draft, spec)))
    return fixed


def _misfits(draft: Draft, spec: CompressionJobSpec, runtimes: terms.Runtimes) -> Iterator[FieldProblem]:
    """Return what the job's runtimes do not have for it, and what its pods have no room for."""
    if len(draft.observed.job.spec_json) > MAX_PLAIN_BYTES:  # a shorter one fits
        yield from size_problems(pod_manifest_of(draft.observed.job))
    for name, runtime in runtimes.items():
        yield from misplaced_files(spec, name, runtime)
    first = draft.observed.job.present_runtime == spec.runtime and not draft.before.children_created
    if first and not terms.are_fixed(draft):
        yield from too_long(spec.retention, spec.runtime, runtimes[spec.runtime].retention)
    if draft.observed.job.part != PUBLISH:
        measuring = draft.observed.job.measuring_runtime
        yield from too_many_threads(spec, measuring, runtimes[measuring])


def _wait_for_terms(draft: Draft, runtimes: terms.Runtimes, offered: Terms | None) -> bool:
    """Wait where the terms of a job could not be kept: the platform team can change that."""
    unpriced = unpriced_budget(runtimes, offered)
    if unpriced is not None:
        wait(draft, RUNTIME_WITHOUT_PRICE, unpriced)
    elif terms.author_is_unverified(draft, offered):
        wait(draft, AUTHOR_NOT_VERIFIED, _UNVERIFIED)
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
        wait(draft, RUNTIME_NOT_FOUND, f"{field}: there is no CompressionRuntime {name!r}; {remedy}")
        return None
    if found.runtime is None:
        wait(draft, INVALID_RUNTIME, f"{field}: the CompressionRuntime {name!r} is not valid: {found.problem}")
        return None
    refusal = terms.refusal(draft, name, found.runtime.spec)
    if refusal is not None:
        wait(draft, RUNTIME_NOT_ALLOWED, f"{field}: {refusal}")
        return None
    return found.runtime.spec


def _wait_for_price(draft: Draft, spec: CompressionJobSpec, name: str) -> bool:
    """Wait where a limit on cost could not be kept: the platform team can give the runtime its price."""
    problem = missing_price(spec, name, measures=name == draft.observed.job.measuring_runtime)
    if problem is None:
        return False
    wait(draft, RUNTIME_WITHOUT_PRICE, str(problem))
    return True
