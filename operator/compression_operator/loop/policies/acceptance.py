"""Whether a job can work at all: said before any pod starts, with the field, its value and the remedy."""

from collections.abc import Iterator

from compression_operator.child.manifest import manifest_of
from compression_operator.loop.draft import Accepted, Draft
from compression_operator.loop.plan import Plan
from compression_operator.records.runtime import RuntimeRecord
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import (
    ACCEPTED,
    INVALID_RUNTIME,
    INVALID_SPEC,
    RUNTIME_NOT_FOUND,
    RUNTIME_WITHOUT_PRICE,
)
from compressionjob.errors import InvalidSpec
from compressionjob.parts import PUBLISH
from compressionjob.placement import misplaced_files, missing_price, too_many_threads
from compressionjob.retention import too_long
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.spec import CompressionJobSpec, parse_job


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
    problems = [problem for name, runtime in runtimes.items() for problem in misplaced_files(spec, name, runtime)]
    if draft.observed.job.present_runtime == spec.runtime and not draft.before.children_created:
        problems.extend(too_long(spec.retention, spec.runtime, runtimes[spec.runtime].retention))
    if draft.observed.job.part != PUBLISH:
        measuring = draft.observed.job.measuring_runtime
        problems.extend(too_many_threads(spec, measuring, runtimes[measuring]))
    if problems:
        _refuse(draft, str(InvalidSpec(problems)))
        return draft.plan()
    draft.accept(Accepted(spec, runtimes[draft.observed.job.present_runtime]))
    return None


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
