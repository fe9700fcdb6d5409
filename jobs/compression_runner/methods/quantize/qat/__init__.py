"""Quantization-aware training: the weights learn to live with few bits."""

from typing import Final

from compression_runner.artifact import Artifact
from compression_runner.methods.quantize.need import NEED
from compression_runner.stages.method import Method, Outcome, StageContext, always
from compressionjob.methods.quantize import Qat


def run(artifact: Artifact, parameters: Qat, context: StageContext) -> Outcome:
    """Return an ONNX graph with weights of few bits that were trained to be so.

    Raises BadRecipe where the training diverges, or the stored graph does not answer as the trained model does.
    """
    from compression_runner.methods.quantize.qat.stage import train_quantized

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
