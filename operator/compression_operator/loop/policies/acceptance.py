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
from compressionjob.errors import FieldProblem, InvalidSpec
from compressionjob.locations import Location, parse_location
from compressionjob.measuring import SHARED, reserved_cpus
from compressionjob.parts import PUBLISH
from compressionjob.runtime import CompressionRuntimeSpec, RuntimeVolume
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
    problems = [problem for name, runtime in runtimes.items() for problem in _misplaced_files(spec, name, runtime)]
    if draft.observed.job.part != PUBLISH:
        measuring = draft.observed.job.measuring_runtime
        problems.extend(_too_many_threads(spec, measuring, runtimes[measuring]))
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
        remedy = "create it, or delete the job and name another"
        _wait(draft, RUNTIME_NOT_FOUND, f"{field}: there is no CompressionRuntime {name!r}; {remedy}")
        return None
    if found.runtime is None:
        _wait(draft, INVALID_RUNTIME, f"{field}: the CompressionRuntime {name!r} is not valid: {found.problem}")
        return None
    return found.runtime.spec


def _wait_for_price(draft: Draft, spec: CompressionJobSpec, name: str) -> bool:
    """Wait where a limit on cost could not be kept: the platform team can give the runtime its price."""
    limits = {"spec.budget": spec.budget}
    if spec.sla.cost is not None and name == draft.observed.job.measuring_runtime:
        limits["spec.sla.cost.maxPerMillion"] = spec.sla.cost.max_per_million
    for field, value in limits.items():
        if value is not None:
            text = (
                f"{field} ({value:g}): the CompressionRuntime {name!r} has no pricePerHour, so no cost is known; let "
                "the platform team set it, or delete the job and apply it with another runtime or without this limit"
            )
            _wait(draft, RUNTIME_WITHOUT_PRICE, text)
            return True
    return False


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


def _too_many_threads(spec: CompressionJobSpec, name: str, runtime: CompressionRuntimeSpec) -> Iterator[FieldProblem]:
    """More threads than CPUs to measure with: the pod that measures would say so when the stages are done."""
    threads, cpus = spec.benchmark.threads, reserved_cpus(runtime.resources.requests, runtime.resources.limits)
    if threads is not None and 0 < cpus < threads and runtime.measuring.isolation != SHARED:
        remedy = f"the runtime {name!r} that measures requests {cpus} CPUs; set it to {cpus} at most, or name another"
        yield FieldProblem("spec.benchmark.threads", str(threads), remedy)


def _misplaced_files(spec: CompressionJobSpec, name: str, runtime: CompressionRuntimeSpec) -> Iterator[FieldProblem]:
    """file:// outside the runtime's volumes, which would name a path of the node or of the image."""
    for field, location, written in _locations(spec):
        if location.scheme != "file":
            continue
        volume = next((item for item in runtime.volumes if _below(location.path, item.mount_path)), None)
        if volume is None:
            places = ", ".join(item.mount_path for item in runtime.volumes) or "it has none"
            yield FieldProblem(
                field,
                str(location),
                f"in a cluster file:// must lie below a volume of the runtime {name!r} ({places}); "
                "use s3:// or pvc://, or a runtime with that volume",
            )
        elif written and _read_only(volume):
            yield FieldProblem(
                field,
                str(location),
                f"the runtime {name!r} mounts {volume.mount_path} read-only; choose one that can be written",
            )


def _locations(spec: CompressionJobSpec) -> Iterator[tuple[str, Location, bool]]:
    """Every location of a job with its field, and whether it is written."""
    for field, source in spec.sources():
        yield field, parse_location(source), False
    yield "spec.output.destination", parse_location(spec.output.destination), True
    yield "spec.output.reports", spec.output.reports_location, True
    yield "spec.output.checkpoints", spec.output.checkpoints_location, True


def _below(path: str, mount: str) -> bool:
    return path.startswith(mount.rstrip("/") + "/")


def _read_only(volume: RuntimeVolume) -> bool:
    claim = volume.persistent_volume_claim
    return claim is None or claim.read_only
