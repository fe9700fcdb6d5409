"""The packed artifacts: MiniLM's weights in three float types, pruned, and as an INT8 graph."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from compression_runner.artifact import Artifact, seal
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext
from compressionjob.methods.prune import Prune
from compressionjob.methods.registry import Quantize
from samples.text import minilm

TYPES = {"FP32": "float32", "FP16": "float16", "BF16": "bfloat16"}
"""zipnn's names of the types."""
METHODS_BEFORE = {
    "FP32, 90 % pruned": ("prune",),
    "INT8 ONNX, by channel": ("export", "quantize"),
    "INT8 ONNX, by tensor": ("export", "quantize"),
}
"""The methods that created a subject, except of the source model."""


def make(work: Path) -> dict[str, Artifact]:
    """Return the artifacts by name, written below `work`."""
    source = work / "minilm"
    minilm(source)
    full = seal(source, "transformers", "text-embedding")
    artifacts = {"FP32": full}
    for name in ("FP16", "BF16"):
        artifacts[name] = _cast(full, getattr(torch, TYPES[name]), work / name)
    artifacts["FP32, 90 % pruned"] = _stage("prune", full, Prune.model_validate({"sparsity": "0.9"}), work / "pruned")
    exported = _stage("export", full, None, work / "onnx")
    artifacts["INT8 ONNX, by channel"] = _stage("quantize", exported, Quantize(), work / "int8")
    by_tensor = Quantize.model_validate({"granularity": "tensor"})
    artifacts["INT8 ONNX, by tensor"] = _stage("quantize", exported, by_tensor, work / "int8-by-tensor")
    return artifacts


def _cast(source: Artifact, dtype: torch.dtype, into: Path) -> Artifact:
    into.mkdir()
    tensors = load_file(source.path / "model.safetensors")
    shorter = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    save_file(shorter, into / "model.safetensors")
    return seal(into, "transformers", "text-embedding")


def _stage(name: str, source: Artifact, parameters: Prune | Quantize | None, into: Path) -> Artifact:
    into.mkdir()
    chosen = parameters.chosen() if parameters else None
    method = METHODS[name, chosen.variant if chosen else ""]
    return method.run(source, chosen, StageContext(into, f"spec.pipeline[0].{name}")).artifact
