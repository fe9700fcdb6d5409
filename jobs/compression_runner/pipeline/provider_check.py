"""Check that a job that is measured on a GPU can be, before its stages run."""

from compression_runner.errors import InvalidInput
from compression_runner.evaluation.serving.servers import ENGINE_FIELD
from compressionjob.spec import CompressionJobSpec


def require_provider(spec: CompressionJobSpec) -> None:
    """Raise InvalidInput if the execution provider of a job's engine does not run here."""
    engine = spec.benchmark.engine
    if engine == "auto" or engine == "vllm":
        return
    # onnxruntime takes long to import, and few jobs need it before their stages.
    from compression_runner.inference.gpu import not_available

    problem = not_available(engine)
    if problem:
        remedy = (
            "name a CompressionRuntime in spec.sla.runtime or spec.runtime with a GPU and an image that has the "
            "provider (images/runner-onnxruntime-gpu.Dockerfile), or leave engine out to measure on the CPU"
        )
        raise InvalidInput("EngineMissing", ENGINE_FIELD, engine, problem, remedy)
