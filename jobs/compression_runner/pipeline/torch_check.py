"""Check a job that is measured in PyTorch against its source and stages, before anything runs."""

from typing import Final

from compression_runner.artifact import Format
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.formats.source.inspection import Source
from compression_runner.pipeline.planner import PipelinePlan, Step
from compressionjob.engines import TORCH_ENGINES
from compressionjob.spec import CompressionJobSpec

LOADED: Final[Format] = "transformers"
"""The format that PyTorch loads and computes in the types of."""
SOURCE: Final = "spec.model.source"
OTHERWISE: Final = "leave spec.benchmark.engine out to measure an exported graph"


def check_torch(spec: CompressionJobSpec, source: Source, plan: PipelinePlan) -> None:
    """Check that PyTorch loads the source and every result that may be published.

    Raises InvalidInput for the source, and BadRecipe for the results of stages.
    """
    if spec.benchmark.engine not in TORCH_ENGINES:
        return
    start = plan.imported.format if plan.imported else source.format
    if start != LOADED:
        remedy = f"give the folder of a Transformers model, or {OTHERWISE}"
        raise InvalidInput("FormatMismatch", SOURCE, spec.model.source, _not_loaded(spec, start), remedy)
    if source.config.get("quantization_config"):
        problem = "its weights are quantized, and PyTorch computes in their types only with the library that wrote them"
        remedy = f"give the model before its quantization, or {OTHERWISE}"
        raise InvalidInput("FormatMismatch", SOURCE, spec.model.source, problem, remedy)
    for steps in (plan.steps, *(candidate.steps for candidate in plan.fallbacks)):
        last = _unpacked(steps)
        if last is not None and last.format != LOADED:
            remedy = f"use stages that keep a Transformers folder: distill, recover, prune, or {OTHERWISE}"
            raise BadRecipe("FormatMismatch", last.field, last.title, _not_loaded(spec, last.format), remedy)


def _unpacked(steps: tuple[Step, ...]) -> Step | None:
    """Return the last step that does not pack; None if the source itself is packed. Packing keeps the format."""
    return next((step for step in reversed(steps) if step.method.name != "pack"), None)


def _not_loaded(spec: CompressionJobSpec, model_format: Format) -> str:
    return f"engine {spec.benchmark.engine} measures Transformers folders, and this gives {model_format}"
