"""Quantization-aware training."""

from typing import Final

from compression_runner.artifact import Artifact
from compression_runner.methods.quantize.need import NEED
from compression_runner.stages.method import Method, Outcome, StageContext, always
from compressionjob.methods.quantize import Qat


def run(artifact: Artifact, parameters: Qat, context: StageContext) -> Outcome:
    """Return an ONNX graph with low-bit weights from quantization-aware training.

    Raises BadRecipe if the training diverges, or the outputs of the stored graph differ from the trained model.
    """
    from compression_runner.methods.quantize.qat.quantized_training import train_quantized

    return train_quantized(artifact, parameters, context)


METHOD: Final = Method(
    name="quantize",
    version=3,
    accepts=always("transformers", "torch"),
    gives=lambda _before, _parameters: "onnx",
    run=run,
    libraries=("onnxruntime", "onnx", "onnx-ir", "numpy", "openvino", "nncf"),
    need=NEED,
    effort=3.0,
)
