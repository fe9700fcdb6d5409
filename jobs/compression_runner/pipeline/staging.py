"""From the prepared job to the two models that are compared, and the data to compare them on."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from compression_runner.artifact import Artifact
from compression_runner.dataset import SampleSet
from compression_runner.errors import WORK_REMEDY, room_on
from compression_runner.evaluation.answers.batch_axes import batch_of_inputs
from compression_runner.evaluation.request import require_data
from compression_runner.pipeline.checkpoints import Checkpoints
from compression_runner.pipeline.execution import Execution, Made
from compression_runner.pipeline.fetching import fetch_source
from compression_runner.pipeline.job_data import JobData
from compression_runner.pipeline.places import Places
from compression_runner.pipeline.planner import IMPORT, Step
from compression_runner.pipeline.preflight import Prepared
from compression_runner.telemetry.progress import RunProgress, counting
from compressionjob.spec import CompressionJobSpec

MODULES: Final = ("transformers", "torch")
"""Formats that are loaded as modules of torch."""


@dataclass(frozen=True)
class Staged:
    """Baseline and result as graphs, the result as it is published, and the evaluation data.

    `baseline_bytes` is the size of the weights that the baseline's graph was made of. `make` gives the output of a
    step, from its checkpoint where it has one. The checkpoints bring Transformers directories, with whose gradients
    inputs are attacked: the baseline, and the last one on the way to the result; None where there is none, or no other
    than the baseline.
    """

    baseline: Path
    baseline_bytes: int
    compressed: Path
    result: Made
    data: SampleSet
    make: Callable[[Step], Made]
    baseline_checkpoint: Callable[[], Artifact] | None = None
    compressed_checkpoint: Callable[[], Artifact] | None = None

    def checkpoint_of(self, steps: Sequence[Step]) -> Callable[[], Artifact] | None:
        """What brings the last output of these steps that torch can run, gradients included."""
        last = _last_with_modules(steps)
        return (lambda: self.make(last).artifact) if last else None


def stage(spec: CompressionJobSpec, prepared: Prepared, places: Places, progress: RunProgress) -> Staged:
    """Fetches what is needed and runs the steps that no checkpoint has.

    The data is looked at before any step runs: hours of work must not end in a missing column.
    """
    plan = prepared.plan
    if places.users:
        places.users.use([step.fingerprint for step in (*plan.every_step, *plan.spare_steps)])
    checkpoints = Checkpoints(places.workdir / "checkpoints", places.remote, places.users)
    data: JobData
    execution = Execution(
        checkpoints, _fetcher(prepared, places), _origin(spec, prepared), progress, stage_data=lambda: data
    )

    def model() -> Made:
        return execution.make(plan.imported) if plan.imported else execution.source()

    def other(location: str) -> Artifact:
        return fetch_source(places.models[location], prepared.models[location], places.scratch / "models")

    inputs = prepared.source.inputs
    data = JobData(spec, places.data, prepared.data, places.scratch, lambda: model().artifact, other, inputs)
    baseline = plan.baseline
    resumes = baseline is not None and checkpoints.has(baseline.fingerprint)
    first = execution.make(baseline) if baseline and resumes else model()
    with progress.phase("data"):
        evaluation = data.samples("evaluation", first.artifact.path)
        require_data(spec, evaluation)
        if prepared.source.format == "onnx":
            found = batch_of_inputs(spec, first.artifact.model_file, evaluation)
            data.place_batch(found.inputs, single=found.single)
            evaluation = data.samples("evaluation", first.artifact.path)
    before = execution.make(baseline) if baseline else first
    result = execution.make(plan.steps[-1])
    compressed = execution.make(plan.measured).artifact if plan.measured else _unpacked(result, places.scratch)
    size = _baseline_bytes(prepared, before)
    last = _last_with_modules(plan.steps)
    return Staged(
        before.artifact.model_file,
        size,
        compressed.model_file,
        result,
        evaluation,
        execution.make,
        baseline_checkpoint=(lambda: model().artifact) if baseline else None,
        compressed_checkpoint=(lambda: execution.make(last).artifact) if last else None,
    )


def _last_with_modules(steps: Sequence[Step]) -> Step | None:
    """The last of these stages whose output torch can run, gradients included; an import is the baseline's."""
    found = [step for step in steps if step.format in MODULES and step.method is not IMPORT]
    return found[-1] if found else None


def _baseline_bytes(prepared: Prepared, baseline: Made) -> int:
    """The source's own size; of an imported source that of the model which it stands for, since that is measured."""
    imported = next((done for done in baseline.stages if done.method == IMPORT.name), None)
    return imported.size_bytes if imported else prepared.source.weights_bytes


def _fetcher(prepared: Prepared, places: Places) -> Callable[[Callable[[float, str], None]], Artifact]:
    def fetch(advance: Callable[[float, str], None]) -> Artifact:
        count = counting(prepared.source.total_bytes, advance)
        return fetch_source(places.model, prepared.source, places.scratch / "source", count)

    return fetch


def _origin(spec: CompressionJobSpec, prepared: Prepared) -> Mapping[str, Any]:
    source = prepared.source
    return {
        "uri": spec.model.source,
        "format": source.format,
        "architecture": source.architecture,
        "parameters": source.parameters,
        "identity": source.identity,
        "checksumsVerified": bool(source.checksums),
    }


def _unpacked(result: Made, scratch: Path) -> Artifact:
    """The result as it is used: unpacked where it is packed."""
    if result.artifact.packing is None:
        return result.artifact
    from compression_runner.methods.pack.unpacking import unpack

    into = scratch / "unpacked" / result.stages[-1].fingerprint
    with room_on(into, "workdir", WORK_REMEDY):
        return unpack(result.artifact, into)
