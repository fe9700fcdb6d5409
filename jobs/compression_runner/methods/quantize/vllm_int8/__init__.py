"""INT8 weights and activations (W8A8) of language models for vLLM: a checkpoint in the format compressed-tensors."""

from typing import Final

from compression_runner.artifact import Artifact, seal
from compression_runner.formats.source.inspection import Source
from compression_runner.methods.quantize.vllm.plan_check import quantized_shapes
from compression_runner.stages.method import MIB, Method, Need, Outcome, StageContext, always
from compressionjob.methods.quantize import VllmInt8


def run(artifact: Artifact, parameters: VllmInt8, context: StageContext) -> Outcome:
    """Return the checkpoint with INT8 linear layers; embeddings and the output layer do not change.

    Raises BadRecipe for models without linear layers, mixtures of experts, or a failed calibration.
    """
    from compression_runner.formats.companions import copy_companions
    from compression_runner.methods.quantize.vllm_int8.quantization import Int8Request, quantize

    copy_companions(artifact, context.output)
    data = context.required_data.samples("calibration", artifact.path) if parameters.needs() else None
    details = quantize(Int8Request(artifact, parameters, data, context.field, context.advance), context.output)
    return Outcome(seal(context.output, "compressed-tensors", artifact.task), details)


def _check_source(_parameters: VllmInt8, source: Source, field: str) -> None:
    quantized_shapes(source, field)


METHOD: Final = Method(
    name="quantize",
    version=1,
    accepts=always("transformers"),
    gives=lambda _before, _parameters: "compressed-tensors",
    run=run,
    check_source=_check_source,
    libraries=(
        "compressed-tensors", "torch", "transformers", "safetensors", "onnx", "onnx-ir", "onnxruntime", "numpy",
    ),
    need=Need(150 * MIB, 1.0, 450 * MIB, 2.5),
    effort=3.0,
)  # fmt: skip
