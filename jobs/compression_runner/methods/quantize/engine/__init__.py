"""Quantize language models for vLLM with engines in separate environments of the image."""

from typing import Final

from compression_runner.artifact import Artifact, Format
from compression_runner.methods.quantize.engine.environment import FORMATS, interpreter
from compression_runner.methods.quantize.need import NEED
from compression_runner.stages.method import Method, Outcome, StageContext, always
from compressionjob.methods.quantize import LlmCompressor, ModelOpt

Engine = LlmCompressor | ModelOpt


def run(artifact: Artifact, parameters: Engine, context: StageContext) -> Outcome:
    """Return the model with low-bit linear layers; embeddings and the output layer do not change.

    Raises BadRecipe if the image lacks the engine, or the engine fails.
    """
    from compression_runner.methods.quantize.engine.engine_run import quantize

    return quantize(artifact, parameters, context)


def _gives(_before: Format, parameters: Engine) -> Format:
    return FORMATS[parameters.backend]


def _require(parameters: Engine, field: str) -> None:
    interpreter(parameters.backend, field)


METHOD: Final = Method(
    name="quantize",
    version=3,
    accepts=always("transformers"),
    gives=_gives,
    run=run,
    require=_require,
    libraries=("onnxruntime", "onnx", "onnx-ir", "numpy", "openvino", "nncf"),
    need=NEED,
    effort=3.0,
)
