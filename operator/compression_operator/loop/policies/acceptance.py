"""Validation of a job before any pod starts: each message names the field, its value and the remedy."""

from collections.abc import Iterator
from typing import Final

from compression_operator.child.manifest import manifest_of, pod_manifest_of
from compression_operator.loop.draft import Accepted, Draft
from compression_operator.loop.plan import ReconcilePlan
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
from compressionjob.job_parts import PUBLISH
from compressionjob.placement import misplaced_files, missing_price, no_gpu, too_many_threads
from compressionjob.pod_input import MAX_PLAIN_BYTES, size_problems
from compressionjob.retention import too_long
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.spec import CompressionJobSpec, parse_job
from compressionjob.terms import Terms, unpriced_budget

_UNVERIFIED: Final = (
    "author and reviewer must differ, but no admission policy verifies spec.author; let the platform team install the "
    "policies of the chart, which sets --identities-verified"
)


def accept(draft: Draft) -> ReconcilePlan | None:
    """Accept a job without a child: end it if its spec is invalid, and let it wait for a missing runtime."""
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
    """Yield the needs of the job that its runtimes do not meet, and input that is too large for its pods."""
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
        yield from no_gpu(spec, measuring, runtimes[measuring])


def _wait_for_terms(draft: Draft, runtimes: terms.Runtimes, offered: Terms | None) -> bool:
    """Let a job wait if its terms cannot be enforced, until the platform team changes that."""
    unpriced = unpriced_budget(runtimes, offered)
    if unpriced is not None:
        wait(draft, RUNTIME_WITHOUT_PRICE, unpriced)
    elif terms.author_is_unverified(draft, offered):
        wait(draft, AUTHOR_NOT_VERIFIED, _UNVERIFIED)
    else:
        return False
    return True


def _runtimes(draft: Draft, spec: CompressionJobSpec) -> Iterator[tuple[str, str, RuntimeRecord | None]]:
    """Yield field, name and record of the present part's runtime and of the measuring runtime, if it is another."""
    job = draft.observed.job
    name, measuring = job.present_runtime, job.measuring_runtime
    there = f"spec.measuring.runtime of the CompressionRuntime {spec.runtime!r}"
    field = "spec.sla.runtime" if spec.sla.runtime else there
    yield ("spec.runtime" if name == spec.runtime else field), name, draft.observed.runtime
    if measuring != name:
        yield field, measuring, draft.observed.measuring_runtime


def _runtime(draft: Draft, record: RuntimeRecord | None, field: str, name: str) -> CompressionRuntimeSpec | None:
    """Return the runtime; None if the job must wait until the platform team creates or fixes it."""
    if record is None:
        remedy = (
            "create it, or delete the job and submit it with another (to list them: kubectl get compressionruntimes)"
        )
        wait(draft, RUNTIME_NOT_FOUND, f"{field}: there is no CompressionRuntime {name!r}; {remedy}")
        return None
    if record.runtime is None:
        wait(draft, INVALID_RUNTIME, f"{field}: the CompressionRuntime {name!r} is not valid: {record.problem}")
        return None
    refusal = terms.refusal(draft, name, record.runtime.spec)
    if refusal is not None:
        wait(draft, RUNTIME_NOT_ALLOWED, f"{field}: {refusal}")
        return None
    return record.runtime.spec


def _wait_for_price(draft: Draft, spec: CompressionJobSpec, name: str) -> bool:
    """Let a job wait if its cost limit cannot be enforced, until the platform team sets the runtime's price."""
    problem = missing_price(spec, name, measures=name == draft.observed.job.measuring_runtime)
    if problem is None:
        return False
    wait(draft, RUNTIME_WITHOUT_PRICE, str(problem))
    return True
