"""Check that the engine of a job can measure here, before the stages run."""

from compression_runner.errors import InvalidInput
from compression_runner.evaluation.serving.servers import ENGINE_FIELD
from compressionjob.engines import COMPILING_ENGINES, ProviderEngine, TorchEngine
from compressionjob.spec import CompressionJobSpec


def require_provider(spec: CompressionJobSpec) -> None:
    """Raise InvalidInput if the engine of a job does not run here: its provider, its GPU, or its compiler."""
    engine = spec.benchmark.engine
    if engine == "auto" or engine == "vllm":
        return
    # onnxruntime and torch take long to import, and few jobs need them before their stages.
    if engine == "onnxruntime-cuda" or engine == "onnxruntime-tensorrt":
        _require_onnxruntime(engine)
    else:
        _require_torch(engine)


def _require_onnxruntime(engine: ProviderEngine) -> None:
    from compression_runner.inference.gpu import not_available

    problem = not_available(engine)
    if problem:
        remedy = (
            "name a CompressionRuntime in spec.sla.runtime or spec.runtime with a GPU and an image that has the "
            "provider (images/runner-onnxruntime-gpu.Dockerfile), or leave engine out to measure on the CPU"
        )
        raise InvalidInput("EngineMissing", ENGINE_FIELD, engine, problem, remedy)


def _require_torch(engine: TorchEngine) -> None:
    from compression_runner.inference.torch_trial import no_gpu, not_compiling

    problem = no_gpu(engine)
    if problem:
        remedy = "name a CompressionRuntime in spec.sla.runtime or spec.runtime with a GPU, or an engine on the CPU"
        raise InvalidInput("EngineMissing", ENGINE_FIELD, engine, problem, remedy)
    problem = not_compiling(engine) if engine in COMPILING_ENGINES else ""
    if problem:
        remedy = (
            "name a CompressionRuntime in spec.sla.runtime or spec.runtime whose image has compilers "
            "(images/runner-torch-compile.Dockerfile), or the engine without compile"
        )
        raise InvalidInput("EngineMissing", ENGINE_FIELD, engine, problem, remedy)
