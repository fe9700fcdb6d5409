"""FP8 checkpoints of ModelOpt: linear layers whose weights and inputs are E4M3FN numbers times a scale per tensor.

They are dequantized on loading, for evaluation on hardware without FP8 products: weights become float32, and inputs
are rounded to FP8 and back, as vLLM does on a GPU. Source: vLLM's documentation of ModelOpt checkpoints.
"""

import json
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open

from compression_runner.formats.input_rounding import RoundingLinear

METHOD: Final = "modelopt"
WEIGHT_SCALE: Final = ".weight_scale"
INPUT_SCALE: Final = ".input_scale"
LARGEST: Final = torch.finfo(torch.float8_e4m3fn).max


class Float8Linear(RoundingLinear):
    """A linear layer that rounds its inputs to FP8."""

    input_scale: torch.Tensor

    def rounded(self, input: torch.Tensor) -> torch.Tensor:
        """Return inputs rounded to FP8, clamped to its range."""
        scaled = (input / self.input_scale).clamp(-LARGEST, LARGEST)
        return scaled.to(torch.float8_e4m3fn).to(torch.float32) * self.input_scale


def is_float8(path: Path) -> bool:
    """Return whether a Transformers directory is such a checkpoint.

    Raises ValueError for another algorithm of ModelOpt.
    """
    settings = json.loads((path / "config.json").read_text()).get("quantization_config") or {}
    if settings.get("quant_method") != METHOD:
        return False
    if settings.get("quant_algo") != "FP8":
        raise ValueError(f"ModelOpt's {settings.get('quant_algo')} is not supported, only its FP8")
    return True


def load(path: Path, make: Any) -> tuple[torch.nn.Module, list[str]]:
    """Return the dequantized model of a directory, and the names of parameters without weights.

    `make` returns a model of the directory's configuration. Raises ValueError for weights that do not fit it.
    """
    tensors: dict[str, torch.Tensor] = {}
    for shard in sorted(path.glob("*.safetensors")):
        with safe_open(shard, "pt") as file:
            tensors.update({name: file.get_tensor(name) for name in list(file.keys())})
    scales = {name: tensors.pop(name) for name in list(tensors) if name.endswith((WEIGHT_SCALE, INPUT_SCALE))}
    model: torch.nn.Module = make()
    for name, module in list(model.named_modules()):
        weight = tensors.get(f"{name}.weight")
        if weight is None or weight.dtype != torch.float8_e4m3fn:
            continue
        if not isinstance(module, torch.nn.Linear):
            raise ValueError(f"{name} has FP8 weights, but is not a linear layer")
        missing = [name + end for end in (WEIGHT_SCALE, INPUT_SCALE) if name + end not in scales]
        if missing:
            raise ValueError(f"{name} has FP8 weights without {missing[0]}")
        tensors[f"{name}.weight"] = weight.to(torch.float32) * scales.pop(name + WEIGHT_SCALE).to(torch.float32)
        module.__class__ = Float8Linear
        module.register_buffer("input_scale", scales.pop(name + INPUT_SCALE).to(torch.float32), persistent=False)
    incompatible = model.load_state_dict(tensors, strict=False)
    if incompatible.unexpected_keys or scales:
        raise ValueError(
            f"{path.name} has tensors that are not the model's: {[*incompatible.unexpected_keys, *scales][:3]}"
        )
    tied = set(getattr(model, "all_tied_weights_keys", None) or ())
    if tied:
        model.tie_weights()  # type: ignore[operator]
    return model, [name for name in incompatible.missing_keys if name not in tied]
