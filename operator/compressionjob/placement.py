"""Checks of a job against its runtimes.

The operator runs them before a pod starts, and `kubectl compress submit` before it creates the job. So both give the
same messages.
"""

from collections.abc import Iterable, Iterator

from compressionjob.errors import FieldProblem
from compressionjob.gpu_engines import runtime_without_gpu
from compressionjob.hints import nearest
from compressionjob.job_locations import job_locations
from compressionjob.measuring import SHARED, isolation_of_cpus, reserved_cpus
from compressionjob.runtime import CompressionRuntimeSpec, RuntimeVolume
from compressionjob.spec import CompressionJobSpec


def no_such_runtime(name: str, known: Iterable[str]) -> str:
    """Return the message for a missing runtime: the known runtimes, and the one with the nearest name."""
    names = sorted(known)
    suggestion = nearest(name, names)
    there = f"there are: {', '.join(names)}" if names else "there is none yet: ask the platform team to create one"
    return f"there is no CompressionRuntime {name!r}; {there}" + (
        f"; did you mean {suggestion!r}?" if suggestion else ""
    )


def missing_price(spec: CompressionJobSpec, name: str, *, measures: bool) -> FieldProblem | None:
    """Return the limit on cost of a job whose runtime has no price; None for a job without such a limit."""
    limits = {"spec.budget": spec.budget}
    if spec.sla.cost is not None and measures:
        limits["spec.sla.cost.maxPerMillion"] = spec.sla.cost.max_per_million
    for field, value in limits.items():
        if value is not None:
            remedy = (
                f"the CompressionRuntime {name!r} has no pricePerHour, so the cost is unknown; ask the platform team "
                "to set it, or delete the job and apply it with another runtime or without this limit"
            )
            return FieldProblem(f"{field} ({value:g})", "", remedy)
    return None


def too_many_threads(spec: CompressionJobSpec, name: str, runtime: CompressionRuntimeSpec) -> Iterator[FieldProblem]:
    """Yield the number of threads if it exceeds the CPUs of the measuring pod.

    The pod would report it too, but only after the stages.
    """
    threads, cpus = spec.benchmark.threads, reserved_cpus(runtime.resources.requests, runtime.resources.limits)
    if threads is not None and 0 < cpus < threads and isolation_of_cpus(runtime.measuring.isolation) != SHARED:
        remedy = f"the runtime {name!r} that measures requests {cpus} CPUs; set it to {cpus} at most, or name another"
        yield FieldProblem("spec.benchmark.threads", str(threads), remedy)


def no_gpu(spec: CompressionJobSpec, name: str, runtime: CompressionRuntimeSpec) -> Iterator[FieldProblem]:
    """Yield the engine of a job that is measured on a GPU, if the measuring runtime has none."""
    yield from runtime_without_gpu(spec.benchmark.engine, name, runtime.resources.limits)


def misplaced_files(spec: CompressionJobSpec, name: str, runtime: CompressionRuntimeSpec) -> Iterator[FieldProblem]:
    """Yield file:// locations outside the runtime's volumes, which would be paths of the image or of the node."""
    for place in job_locations(spec):
        field, location = place.field, place.location
        if location.scheme != "file":
            continue
        volume = next((item for item in runtime.volumes if _below(location.path, item.mount_path)), None)
        if volume is None:
            mounts = ", ".join(item.mount_path for item in runtime.volumes) or "it has none"
            yield FieldProblem(
                field,
                str(location),
                f"in a cluster file:// must lie below a volume of the runtime {name!r} ({mounts}); "
                "use s3:// or pvc://, or a runtime with that volume",
            )
        elif place.written and _read_only(volume):
            yield FieldProblem(
                field,
                str(location),
                f"the runtime {name!r} mounts {volume.mount_path} read-only; choose one that can be written",
            )


def mounted_claims(runtime: CompressionRuntimeSpec) -> dict[str, str]:
    """Return the claims that a runtime mounts, by mount path."""
    return {
        volume.mount_path: volume.persistent_volume_claim.claim_name
        for volume in runtime.volumes
        if volume.persistent_volume_claim is not None
    }


def _below(path: str, mount: str) -> bool:
    return path.startswith(mount.rstrip("/") + "/")


def _read_only(volume: RuntimeVolume) -> bool:
    claim = volume.persistent_volume_claim
    return claim is None or claim.read_only
