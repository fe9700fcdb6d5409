"""Check everything that can be known before weights move."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from compression_runner import artifact as artifacts
from compression_runner.dataset.files import DataFiles, find_data
from compression_runner.dataset.text_lengths import require_length
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.evaluation.machine.cpus import CpuReservation, MeasuringCpus, choose_cpus, require_exclusive
from compression_runner.evaluation.request import require_label_kind
from compression_runner.formats.source.inspection import Source, inspect
from compression_runner.methods.registry import METHODS
from compression_runner.pipeline.array_names import check_array_names
from compression_runner.pipeline.checkpoints import CHECKPOINTS, Checkpoints
from compression_runner.pipeline.data_columns import check_columns
from compression_runner.pipeline.forecast import TimeForecast, disk_forecast, memory_forecast, time_forecast
from compression_runner.pipeline.interface import check_interface
from compression_runner.pipeline.planner import EXPORT, PipelinePlan, make_plan
from compression_runner.pipeline.publishing import existing_artifact
from compression_runner.pipeline.resources import MemoryForecast, check_disk, check_memory, memory_limit
from compression_runner.pipeline.run_locations import RunLocations
from compression_runner.pipeline.serving_check import check_serving
from compression_runner.pipeline.task_files import find_tasks
from compression_runner.pipeline.torch_check import check_torch
from compressionjob.data import DataRole
from compressionjob.engines import TORCH_ENGINES
from compressionjob.spec import CompressionJob, CompressionJobSpec
from compressionjob.tasks import TASKS

LABEL_BY_LABEL: Final = "binary loss of each label"
"""Part of the fingerprints of training with several labels per sample."""


@dataclass(frozen=True)
class PreflightResult:
    """The inspected source, the plan, the data's files, and the forecasts of the run."""

    source: Source
    models: Mapping[str, Source]
    plan: PipelinePlan
    data: Mapping[DataRole, DataFiles]
    memory: MemoryForecast
    time: TimeForecast
    disk_bytes: int
    tasks: tuple[DataFiles, ...] = ()


def preflight(spec: CompressionJobSpec, locations: RunLocations) -> PreflightResult:
    """Check source, data, destination, memory and disk.

    Raises InvalidInput, BadRecipe, StorageUnavailable or DiskFull for errors that would otherwise come later.
    """
    source = inspect(locations.model, spec.model)
    data = {
        role: find_data(store, spec.model.task, f"spec.data.{spec.data.field_of(role)}.source")
        for role, store in locations.data.items()
    }
    check_interface(spec, source, data)
    check_array_names(spec, source, data, locations.data)
    check_columns(spec, data, locations.data)
    tasks = find_tasks(spec, locations.tasks)
    models = {
        location: inspect(store, spec.model.model_copy(update={"source": location, "format": "transformers"}))
        for location, store in locations.models.items()
    }
    for model in (source, *models.values()):
        if not _takes_arrays(model, data["evaluation"]):
            require_length(model.limit, spec.benchmark.sequence_length)
    if source.several_labels is not None and TASKS[spec.model.task].classifies:
        require_label_kind(spec, several=source.several_labels)
    seen = {location: model.identity for location, model in models.items()}
    plan = make_plan(spec, source, _identities(spec, data, source) | seen)
    check_stages(spec, source)
    check_serving(spec, source, plan)
    check_torch(spec, source, plan)
    require_methods(plan, Checkpoints(locations.workdir / CHECKPOINTS, locations.remote))
    look_at_destination(locations, plan.results)
    memory = memory_forecast(plan, source, spec.model.task, spec.benchmark.sequence_length)
    check_memory(memory, memory_limit())
    disk = disk_forecast(plan, source, sum(files.size for files in (*data.values(), *tasks)))
    locations.workdir.mkdir(parents=True, exist_ok=True)
    check_disk(locations.workdir, disk - _present(locations.workdir))
    return PreflightResult(source, models, plan, data, memory, time_forecast(plan, source, spec), disk, tasks)


def measuring_cpus(spec: CompressionJobSpec, reservation: CpuReservation) -> MeasuringCpus:
    """Return the CPUs for the measurement.

    Raises InvalidInput if they do not match the reservation, or are fewer than the job's threads.
    """
    require_exclusive(reservation, "spec.sla.runtime" if spec.sla.runtime else "spec.runtime")
    return choose_cpus(spec.benchmark.threads, reservation)


def check_stages(spec: CompressionJobSpec, source: Source) -> None:
    """Let each stage check the source's headers, up to the first stage that changes the shapes of layers.

    A Transformers model is measured as a graph, so its export checks first, except for engines of PyTorch. Raises
    BadRecipe for a stage that cannot succeed.
    """
    if source.format in EXPORT.accepts(None) and spec.benchmark.engine not in TORCH_ENGINES:
        EXPORT.check_source(None, source, "spec.model.source")
    for index, stage in enumerate(spec.pipeline):
        method = METHODS[stage.key]
        method.check_source(stage.parameters, source, f"spec.pipeline[{index}].{stage.method}")
        if not method.keeps_shapes(stage.parameters):
            return


def require_methods(plan: PipelinePlan, checkpoints: Checkpoints) -> None:
    """Raise BadRecipe if this image cannot run a step that has no checkpoint.

    Another image may have run the step: that of the compressing part of a job, or of an earlier run.
    """
    for step in (*plan.every_step, *plan.spare_steps):
        try:
            step.method.require(step.parameters, step.field)
        except BadRecipe:
            if not checkpoints.has(step.fingerprint):
                raise


def look_at_destination(locations: RunLocations, results: Collection[str]) -> dict[str, Any] | None:
    """Return the artifact.json at the destination: a result with one of these fingerprints, or a replaceable one.

    None for an empty destination. Raises InvalidInput for an artifact that must not be replaced.
    """
    existing = existing_artifact(locations.destination)
    if existing is not None and not locations.overwrite and not is_ours(existing, results):
        problem = f"another artifact ({str(existing.get('digest'))[:19]}) lies there"
        remedy = "name another destination, or set spec.output.overwrite: true"
        raise InvalidInput("DestinationNotEmpty", "spec.output.destination", locations.destination.url, problem, remedy)
    locations.destination.require_replaceable(artifacts.MARKER)
    return existing


def is_ours(existing: dict[str, Any] | None, results: Collection[str]) -> bool:
    """Return whether the artifact at the destination is a result of this plan, from an earlier run."""
    return existing is not None and existing.get("provenance", {}).get("fingerprint") in results


def is_from(existing: Mapping[str, Any] | None, job: CompressionJob) -> bool:
    """Return whether this job published the artifact at the destination, in an earlier attempt.

    Without a cluster, jobs have no uid, and the answer is False.
    """
    publisher = (existing or {}).get("provenance", {}).get("job", {})
    return bool(job.metadata.uid) and publisher.get("uid") == job.metadata.uid


def _takes_arrays(source: Source, files: DataFiles) -> bool:
    """Return whether the data has a graph's raw inputs, to which no sequence length applies."""
    return source.format == "onnx" and files.entries[0].path.lower().endswith(".npz")


def _identities(spec: CompressionJobSpec, data: Mapping[DataRole, DataFiles], source: Source) -> dict[str, str]:
    """Return the identity of each role's data for fingerprints: the file, how it is read, and how it is trained on."""
    split = spec.data.split.to_json() if spec.data.split else None
    several = source.several_labels and TASKS[spec.model.task].classifies
    identities: dict[str, str] = {}
    for role, files in data.items():
        part = spec.data.source_for(role)
        fields = part.to_json() if part else {}
        read: list[Any] = [role, fields.get("columns"), fields.get("limit"), split, spec.benchmark.sequence_length]
        if spec.model.state:
            read.append([tensor.to_json() for tensor in spec.model.state])
        if role == "training" and several:
            # This is not a new version of the training methods: their results for other models stay valid.
            read.append(LABEL_BY_LABEL)
        identities[role] = json.dumps([files.identity, *read], sort_keys=True)
    return identities


def _present(workdir: Path) -> int:
    """Return the bytes of earlier runs in the work directory, which this run reuses."""
    return sum(place.stat().st_size for place in workdir.rglob("*") if place.is_file())
