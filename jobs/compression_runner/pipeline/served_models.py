"""The folders of a job's models for its serving engine."""

from compression_runner.evaluation.serving.serve import ServedModels
from compression_runner.pipeline.execution import StepOutput
from compression_runner.pipeline.resources import memory_limit
from compression_runner.pipeline.run_locations import RunLocations
from compression_runner.pipeline.staging import PreparedModels
from compressionjob.spec import CompressionJobSpec


def served_models(
    spec: CompressionJobSpec, locations: RunLocations, models: PreparedModels, result: StepOutput
) -> ServedModels | None:
    """Return the folders of the baseline and of a result; None without a serving engine."""
    if spec.benchmark.serving is None or models.baseline_checkpoint is None:
        return None
    baseline, compressed = models.baseline_checkpoint(), models.unpacked(result)
    return ServedModels(
        baseline.path,
        compressed.path,
        locations.scratch / "serving",
        memory_limit(),
        baseline.size_bytes + compressed.size_bytes,
    )
