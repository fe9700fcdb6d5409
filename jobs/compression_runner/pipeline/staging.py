"""Run the stages, and return the two models to compare with their evaluation data."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from compression_runner.artifact import Artifact
from compression_runner.dataset import SampleSet
from compression_runner.errors import WORK_REMEDY, room_on
from compression_runner.evaluation.answers.batch_axes import batch_of_inputs
from compression_runner.evaluation.recovery.recovery import RecoveryTasks
from compression_runner.evaluation.request import require_data
from compression_runner.evaluation.serving.prompts import prompts_of
from compression_runner.pipeline.checkpoints import CHECKPOINTS, Checkpoints
from compression_runner.pipeline.execution import Execution, StepOutput
from compression_runner.pipeline.fetching import fetch_source
from compression_runner.pipeline.job_data import JobData
from compression_runner.pipeline.names import PACKED_FORMAT
from compression_runner.pipeline.packed_check import require_same_model
from compression_runner.pipeline.planner import IMPORT, Step
from compression_runner.pipeline.preflight import PreflightResult
from compression_runner.pipeline.run_locations import RunLocations
from compression_runner.pipeline.task_files import read_tasks
from compression_runner.telemetry.progress import RunProgress, counting
from compressionjob.spec import CompressionJobSpec

MODULES: Final = ("transformers", "torch")
"""Formats that are loaded as modules of torch."""


@dataclass(frozen=True)
class PreparedModels:
    """The models to measure, the result to publish, and the evaluation data.

    Models are graphs, or folders for an engine of PyTorch. `baseline_bytes` is the size of the weights of the
    baseline's source. `make` returns the output of a step, from its checkpoint if there is one. `baseline_checkpoint`
    and `compressed_checkpoint` fetch Transformers directories for adversarial attacks: the baseline, and the last one
    before the result; None if there is none, or if it would be the baseline again. `scratch` is for unpacked files.
    `tasks` are the tasks of the job.
    """

    baseline: Path
    baseline_bytes: int
    compressed: Path
    result: StepOutput
    data: SampleSet
    make: Callable[[Step], StepOutput]
    scratch: Path
    baseline_checkpoint: Callable[[], Artifact] | None = None
    compressed_checkpoint: Callable[[], Artifact] | None = None
    tasks: RecoveryTasks | None = None

    def unpacked(self, result: StepOutput) -> Artifact:
        """Return a result, unpacked if it is packed."""
        return _unpacked(result, self.scratch)

    def checkpoint_of(self, steps: Sequence[Step]) -> Callable[[], Artifact] | None:
        """Return a function that fetches the last output of these steps that torch can run with gradients."""
        last = _last_with_modules(steps)
        return (lambda: self.make(last).artifact) if last else None


def stage(
    spec: CompressionJobSpec, prepared: PreflightResult, locations: RunLocations, progress: RunProgress
) -> PreparedModels:
    """Fetch the inputs, and run the steps that have no checkpoint.

    The data is checked before any step runs, so that an invalid column does not waste hours of work.
    """
    plan = prepared.plan
    if locations.users:
        locations.users.use([step.fingerprint for step in (*plan.every_step, *plan.spare_steps)])
    checkpoints = Checkpoints(locations.workdir / CHECKPOINTS, locations.remote, locations.users)
    data: JobData
    execution = Execution(
        checkpoints, _fetcher(prepared, locations), _origin(spec, prepared), progress, stage_data=lambda: data
    )

    def model() -> StepOutput:
        return execution.make(plan.imported) if plan.imported else execution.source()

    def other(location: str) -> Artifact:
        return fetch_source(locations.models[location], prepared.models[location], locations.scratch / "models")

    inputs = prepared.source.inputs
    data = JobData(spec, locations.data, prepared.data, locations.scratch, lambda: model().artifact, other, inputs)
    baseline = plan.baseline
    resumes = baseline is not None and checkpoints.has(baseline.fingerprint)
    first = execution.make(baseline) if baseline and resumes else model()
    with progress.phase("data"):
        evaluation = data.sequences("evaluation", first.artifact.path)
        require_data(spec, evaluation)
        if spec.benchmark.serving:
            prompts_of(evaluation, spec.benchmark.serving.prompt_tokens)
        tasks = read_tasks(spec, locations.tasks, prepared.tasks, locations.scratch, first.artifact.path)
        if prepared.source.format == "onnx":
            axes = batch_of_inputs(spec, first.artifact.model_file, evaluation)
            data.place_batch(axes.inputs, single=axes.single)
            evaluation = data.sequences("evaluation", first.artifact.path)
    before = execution.make(baseline) if baseline else first
    result = execution.make(plan.steps[-1])
    compressed = execution.make(plan.measured).artifact if plan.measured else _unpacked(result, locations.scratch)
    is_folder = before.artifact.format in MODULES
    if plan.measured and plan.measured.parent and plan.measured.parent.format == PACKED_FORMAT:
        unpacked = execution.make(plan.measured.parent).artifact
        require_same_model(unpacked, compressed.model_file, plan.measured.field, locations.scratch / "loading")
    size = _baseline_bytes(prepared, before)
    last = _last_with_modules(plan.steps)
    return PreparedModels(
        measured_path(before.artifact),
        size,
        measured_path(compressed),
        result,
        evaluation,
        execution.make,
        locations.scratch,
        baseline_checkpoint=(lambda: model().artifact) if baseline or is_folder else None,
        compressed_checkpoint=(lambda: execution.make(last).artifact) if last else None,
        tasks=tasks,
    )


def measured_path(artifact: Artifact) -> Path:
    """Return what an engine opens of an unpacked model: its graph, or the folder that PyTorch loads."""
    return artifact.path if artifact.format in MODULES else artifact.model_file


def _last_with_modules(steps: Sequence[Step]) -> Step | None:
    """Return the last of these steps whose output torch can run with gradients, except an import."""
    modules = [step for step in steps if step.format in MODULES and step.method is not IMPORT]
    return modules[-1] if modules else None


def _baseline_bytes(prepared: PreflightResult, baseline: StepOutput) -> int:
    """Return the size of the source, or the size of the imported model, since that one is measured."""
    imported = next((done for done in baseline.stages if done.method == IMPORT.name), None)
    return imported.size_bytes if imported else prepared.source.weights_bytes


def _fetcher(prepared: PreflightResult, locations: RunLocations) -> Callable[[Callable[[float, str], None]], Artifact]:
    def fetch(advance: Callable[[float, str], None]) -> Artifact:
        count = counting(prepared.source.total_bytes, advance)
        return fetch_source(locations.model, prepared.source, locations.scratch / "source", count)

    return fetch


def _origin(spec: CompressionJobSpec, prepared: PreflightResult) -> Mapping[str, Any]:
    source = prepared.source
    return {
        "uri": spec.model.source,
        "format": source.format,
        "architecture": source.architecture,
        "parameters": source.parameters,
        "identity": source.identity,
        "checksumsVerified": bool(source.checksums),
    }


def _unpacked(result: StepOutput, scratch: Path) -> Artifact:
    """Return the result, unpacked if it is packed."""
    if result.artifact.packing is None:
        return result.artifact
    from compression_runner.methods.pack.unpacking import unpack

    into = scratch / "unpacked" / result.stages[-1].fingerprint
    with room_on(into, "workdir", WORK_REMEDY):
        return unpack(result.artifact, into)
