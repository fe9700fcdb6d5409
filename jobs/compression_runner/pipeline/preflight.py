"""Everything that can be known before weights move, in one go."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from compression_runner import artifact as artifacts
from compression_runner.dataset.files import DataFiles, find_data
from compression_runner.dataset.text_lengths import require_length
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.machine.cpus import CpuReservation, MeasuringCpus, choose_cpus, require_exclusive
from compression_runner.evaluation.request import require_label_kind
from compression_runner.formats.source.inspection import Source, inspect
from compression_runner.methods.registry import METHODS
from compression_runner.pipeline.array_names import check_array_names
from compression_runner.pipeline.forecast import TimeForecast, disk_forecast, memory_forecast, time_forecast
from compression_runner.pipeline.interface import check_interface
from compression_runner.pipeline.places import Places
from compression_runner.pipeline.planner import EXPORT, Plan, make_plan
from compression_runner.pipeline.publishing import existing_artifact
from compression_runner.pipeline.resources import MemoryForecast, check_disk, check_memory, memory_limit
from compressionjob.data import DataRole
from compressionjob.spec import CompressionJob, CompressionJobSpec
from compressionjob.tasks import TASKS

LABEL_BY_LABEL: Final = "binary loss of each label"
"""In fingerprints of what is trained where a sample may have several labels."""


@dataclass(frozen=True)
class Prepared:
    """What preflight found: the source, the plan, the data's file, and what the run will need."""

    source: Source
    models: Mapping[str, Source]
    plan: Plan
    data: Mapping[DataRole, DataFiles]
    memory: MemoryForecast
    time: TimeForecast
    disk_bytes: int


def preflight(spec: CompressionJobSpec, places: Places) -> Prepared:
    """Looks at source, data, destination, memory and disk.

    Raises InvalidInput, BadRecipe, StorageUnavailable or DiskFull for what would fail later.
    """
    source = inspect(places.model, spec.model)
    data = {
        role: find_data(store, spec.model.task, f"spec.data.{spec.data.field_of(role)}.source")
        for role, store in places.data.items()
    }
    check_interface(spec, source, data)
    check_array_names(spec, source, data, places.data)
    models = {
        location: inspect(store, spec.model.model_copy(update={"source": location, "format": "transformers"}))
        for location, store in places.models.items()
    }
    for model in (source, *models.values()):
        if not _takes_arrays(model, data["evaluation"]):
            require_length(model.limit, spec.benchmark.sequence_length)
    if source.several_labels is not None and TASKS[spec.model.task].classifies:
        require_label_kind(spec, several=source.several_labels)
    seen = {location: model.identity for location, model in models.items()}
    plan = make_plan(spec, source, _identities(spec, data, source) | seen)
    check_stages(spec, source)
    for step in (*plan.every_step, *plan.spare_steps):
        step.method.require(step.parameters, step.field)
    look_at_destination(places, plan.results)
    memory = memory_forecast(plan, source, spec.model.task, spec.benchmark.sequence_length)
    check_memory(memory, memory_limit())
    disk = disk_forecast(plan, source, sum(files.size for files in data.values()))
    places.workdir.mkdir(parents=True, exist_ok=True)
    check_disk(places.workdir, disk - _present(places.workdir))
    return Prepared(source, models, plan, data, memory, time_forecast(plan, source, spec), disk)


def measuring_cpus(spec: CompressionJobSpec, reservation: CpuReservation) -> MeasuringCpus:
    """Return the CPUs that this process will measure with.

    Raises InvalidInput where they are not what the platform promises, or fewer than the job's threads.
    """
    require_exclusive(reservation, "spec.sla.runtime" if spec.sla.runtime else "spec.runtime")
    return choose_cpus(spec.benchmark.threads, reservation)


def check_stages(spec: CompressionJobSpec, source: Source) -> None:
    """Let each stage look at the source's headers, up to the first stage that changes the shapes of layers.

    A Transformers model is measured as a graph: its export looks first. Raises BadRecipe for what cannot succeed.
    """
    if source.format in EXPORT.accepts(None):
        EXPORT.check_source(None, source, "spec.model.source")
    for index, stage in enumerate(spec.pipeline):
        method = METHODS[stage.key]
        method.check_source(stage.parameters, source, f"spec.pipeline[{index}].{stage.method}")
        if not method.keeps_shapes(stage.parameters):
            return


def look_at_destination(places: Places, results: Collection[str]) -> dict[str, Any] | None:
    """What lies at the destination: nothing, a result of one of these fingerprints, or what may be replaced.

    Raises InvalidInput for another artifact that may not.
    """
    existing = existing_artifact(places.destination)
    if existing is not None and not places.overwrite and not is_ours(existing, results):
        problem = f"another artifact ({str(existing.get('digest'))[:19]}) lies there"
        remedy = "name another destination, or set spec.output.overwrite: true"
        raise InvalidInput("DestinationNotEmpty", "spec.output.destination", places.destination.url, problem, remedy)
    places.destination.require_replaceable(artifacts.MARKER)
    return existing


def is_ours(existing: dict[str, Any] | None, results: Collection[str]) -> bool:
    """Whether what lies at the destination is a result of this very plan, from a run before."""
    return existing is not None and existing.get("provenance", {}).get("fingerprint") in results


def is_from(existing: Mapping[str, Any] | None, job: CompressionJob) -> bool:
    """Whether this very job published what lies at the destination, in a try before; another job's is not ours to take.

    Without a cluster jobs have no uid, and nothing is known to be theirs.
    """
    told = (existing or {}).get("provenance", {}).get("job", {})
    return bool(job.metadata.uid) and told.get("uid") == job.metadata.uid


def _takes_arrays(source: Source, files: DataFiles) -> bool:
    """Whether the data may hold a graph's inputs as they are, which no sequence length cuts."""
    return source.format == "onnx" and files.entries[0].path.lower().endswith(".npz")


def _identities(spec: CompressionJobSpec, data: Mapping[DataRole, DataFiles], source: Source) -> dict[str, str]:
    """What stands for the data of each role in fingerprints: the file, how it is read, and how it is learned from."""
    split = spec.data.split.to_json() if spec.data.split else None
    several = source.several_labels and TASKS[spec.model.task].classifies
    found: dict[str, str] = {}
    for role, files in data.items():
        part = spec.data.learned(role)
        told = part.to_json() if part else {}
        read: list[Any] = [role, told.get("columns"), told.get("limit"), split, spec.benchmark.sequence_length]
        if role == "training" and several:
            # Not a new version of the methods that train: their results for all other models stay as they are.
            read.append(LABEL_BY_LABEL)
        found[role] = json.dumps([files.identity, *read], sort_keys=True)
    return found


def _present(workdir: Path) -> int:
    """Bytes of earlier runs in the work directory, which this one uses again."""
    return sum(place.stat().st_size for place in workdir.rglob("*") if place.is_file())
