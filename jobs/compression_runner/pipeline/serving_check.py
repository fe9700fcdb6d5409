"""Check the serving engine of a job against its models, before anything runs."""

from compression_runner.artifact import Format
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.evaluation.machine.memory_probe import resident_bytes
from compression_runner.evaluation.serving.servers import ENGINE_FIELD
from compression_runner.formats.source.inspection import Source
from compression_runner.inference.environments import missing
from compression_runner.inference.serving import vllm
from compression_runner.pipeline.planner import PipelinePlan, Step
from compression_runner.pipeline.resources import MemoryForecast, check_memory
from compressionjob.conditions import INVALID_INPUT
from compressionjob.methods.quantize.vllm import Vllm
from compressionjob.spec import CompressionJobSpec


def check_serving(spec: CompressionJobSpec, source: Source, plan: PipelinePlan) -> None:
    """Check that the engine of a job can load its models, and that requests fit into their context.

    Raises InvalidInput for the source and the requests, and BadRecipe for the results of stages.
    """
    serving = spec.benchmark.serving
    if serving is None:
        return
    start = plan.imported.format if plan.imported else source.format
    if start not in vllm.FORMATS:
        remedy = "give a folder of a Transformers model, or leave engine and serving out"
        raise InvalidInput("FormatMismatch", "spec.model.source", spec.model.source, _not_loaded(start), remedy)
    for steps in (plan.steps, *(candidate.steps for candidate in plan.fallbacks)):
        last = _unpacked(steps)
        if last and last.format not in vllm.FORMATS:
            remedy = "use stages that keep a Transformers folder: quantize with backend vllm, prune"
            raise BadRecipe("FormatMismatch", last.field, last.title, _not_loaded(last.format), remedy)
    tokens, limit = serving.prompt_tokens + serving.longest_answer, source.limit
    if limit is not None and limit.tokens < tokens:
        problem = f"prompt and answer have {tokens} tokens, and the model ({limit.setting}) takes {limit.tokens}"
        field = "spec.benchmark.serving.promptTokens"
        raise InvalidInput(INVALID_INPUT, field, serving.prompt_tokens, problem, "use fewer tokens of both together")


def require_engine(spec: CompressionJobSpec) -> None:
    """Raise InvalidInput if the serving engine of a job is missing here, or its kernels for the job's results."""
    if spec.benchmark.serving is None:
        return
    problem = missing(vllm.NAME)
    if problem:
        remedy = (
            "name a CompressionRuntime in spec.sla.runtime or spec.runtime whose image has it "
            "(images/runner-engine.Dockerfile); on your machine, set COMPRESSION_ENGINES to the folder that has it"
        )
        raise InvalidInput("EngineMissing", ENGINE_FIELD, vllm.NAME, problem, remedy)
    for index, stage in enumerate(spec.pipeline):
        parameters = stage.parameters.chosen()
        if isinstance(parameters, Vllm) and not _has_kernel(parameters.dtype):
            raise _no_kernel(f"spec.pipeline[{index}].quantize.dtype", parameters.dtype)


def _has_kernel(dtype: str) -> bool:
    return vllm.computes_packed_weights() if dtype == "int4" else vllm.is_for_gpu()


def _no_kernel(field: str, dtype: str) -> InvalidInput:
    without = "" if dtype == "int8" else " without AVX-512"
    problem = f"vLLM's build for CPUs does not compute with {dtype} weights on CPUs{without}"
    remedy = (
        "use method dynamic with backend vllm (INT8 weights and activations); or a runtime on nodes with AVX-512 and "
        "dtype int4, or on nodes with a GPU with an image that has vLLM for GPUs"
    )
    return InvalidInput("EngineMissing", field, dtype, problem, remedy)


def require_memory(spec: CompressionJobSpec, source: Source, limit: int) -> None:
    """Raise InvalidInput if a single server of the source does not fit into this memory, on a CPU."""
    if spec.benchmark.serving is None or vllm.is_for_gpu():
        return
    cache = vllm.cache_gib(limit) * vllm.GIB
    # The engine holds float32 weights in 16 bits, and packed ones as they are.
    least = min(source.weights_bytes, 2 * source.parameters) + vllm.LEAST_RUNTIME_BYTES + cache
    expected = source.weights_bytes + vllm.RUNTIME_BYTES + cache + resident_bytes()
    field = "spec.sla.runtime" if spec.sla.runtime else "spec.runtime"
    check_memory(MemoryForecast(least, expected, f"a server of {vllm.NAME} for the baseline model"), limit, field)


def _unpacked(steps: tuple[Step, ...]) -> Step | None:
    """Return the last step that does not pack; None if the source itself is packed. Packing keeps the format."""
    return next((step for step in reversed(steps) if step.method.name != "pack"), None)


def _not_loaded(model_format: Format) -> str:
    return f"vLLM loads Transformers folders, and this gives {model_format}"
