"""A tiny checkpoint for vLLM with the graph that is judged for it, and copies with damage."""

import json
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import load_file, save_file

from compression_runner.artifact import Artifact, seal
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext
from compressionjob.methods.registry import Quantize
from tests.support import tiny_models
from tests.support.stages import apply_method

FIELD = "spec.pipeline[0].quantize"
STAGE = {"method": "weight-only", "backend": "vllm", "dtype": "int4", "groupSize": 32}
LAYER = "model.layers.1.mlp.up_proj"


def packed_llama(folder: Path) -> tuple[Artifact, Path]:
    """Return a quantized checkpoint, and the graph that a run measures for it."""
    model = seal(tiny_models.llama(folder / "model"), "transformers", "text-generation")
    for name in ("packed", "onnx"):
        (folder / name).mkdir()
    quantized = apply_method(
        "quantize", model, Quantize.model_validate(STAGE), StageContext(folder / "packed", FIELD)
    ).artifact
    return quantized, exported(quantized, folder / "onnx")


def exported(artifact: Artifact, into: Path) -> Path:
    """Return the graph that a run measures for a checkpoint."""
    return METHODS["export", ""].run(artifact, None, StageContext(into, FIELD)).artifact.model_file


def changed(artifact: Artifact, into: Path, change: Callable[[Path], None]) -> Artifact:
    """Return a copy of a checkpoint with a change."""
    into.mkdir()
    for file in artifact.files:
        (into / file.path).write_bytes((artifact.path / file.path).read_bytes())
    change(into)
    return seal(into, artifact.format, artifact.task)


def rename_scale(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors[f"{LAYER}.weight_scales"] = tensors.pop(f"{LAYER}.weight_scale")
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def set_scales(folder: Path, value: float, groups: slice = slice(None)) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors[f"{LAYER}.weight_scale"][groups] = value
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def zero_scale(folder: Path) -> None:
    set_scales(folder, 0.0)


def write_wrong_groups(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["quantization_config"]["config_groups"]["group_0"]["weights"]["group_size"] = 16
    (folder / "config.json").write_text(json.dumps(config))
