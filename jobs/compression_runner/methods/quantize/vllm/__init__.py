"""Weight-only quantization of language models for vLLM: a checkpoint in the format compressed-tensors."""

from typing import Final

from compression_runner.artifact import Artifact, seal
from compression_runner.methods.quantize.vllm.plan_check import check_source
from compression_runner.stages.method import MIB, Method, Need, Outcome, StageContext, always
from compressionjob.methods.quantize import Vllm


def run(artifact: Artifact, parameters: Vllm, context: StageContext) -> Outcome:
    """Return the checkpoint with packed linear layers; embeddings and the output layer do not change.

    Raises BadRecipe if a layer does not fit vLLM's kernels, or the calibration fails.
    """
    from compression_runner.formats.companions import copy_companions
    from compression_runner.methods.quantize.vllm.quantization import CheckpointRequest, quantize

    copy_companions(artifact, context.output)
    data = context.required_data.samples("calibration", artifact.path) if parameters.needs() else None
    details = quantize(CheckpointRequest(artifact, parameters, data, context.field, context.advance), context.output)
    return Outcome(seal(context.output, "compressed-tensors", artifact.task), details)


METHOD: Final = Method(
    name="quantize",
    version=1,
    accepts=always("transformers"),
    gives=lambda _before, _parameters: "compressed-tensors",
    run=run,
    check_source=check_source,
    libraries=(
        "compressed-tensors", "torch", "transformers", "safetensors", "onnx", "onnx-ir", "onnxruntime", "numpy",
    ),
    need=Need(150 * MIB, 1.0, 450 * MIB, 2.5),
    effort=3.0,
)  # fmt: skip
