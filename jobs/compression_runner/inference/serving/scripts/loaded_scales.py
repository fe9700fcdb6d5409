"""Compare the quantization scales that vLLM has loaded with those of the checkpoint. Runs in vLLM's environment only.

vLLM adds the class to its workers (`--worker-extension-cls`), and its server calls the method (`/collective_rpc`). A
kernel may store scales in another order and merge layers, such as query, key and value. So the values of each decoder
layer are compared, and not their places.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

SCALES = re.compile(r"_scale(_\d)?$")
"""Names of scales in a checkpoint: weight_scale, input_scale, k_scale, weight_scale_2."""
NUMBER = re.compile(r"(?:^|\.)(\d+)\.")


class LoadedScales:
    """Methods of a worker of vLLM."""

    def compare_scales(self, folder: str) -> dict[str, Any]:
        """Return the number of scale tensors in a checkpoint, and those that are not loaded: name -> missing values."""
        loaded = _loaded(self.get_model())  # type: ignore[attr-defined]
        stored = dict(_stored(Path(folder)))
        missing: dict[str, int] = {}
        for layer in {_layer(name) for name in stored}:
            tensors = {name: values for name, values in stored.items() if _layer(name) == layer}
            missing |= _missing(tensors, loaded.get(layer, []))
        return {"tensors": len(stored), "missing": missing}


def _layer(name: str) -> str:
    """Return the number of the decoder layer in a tensor's name; "" for a tensor outside of them."""
    match = NUMBER.search(name)
    return match[1] if match else ""


def _stored(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    for shard in sorted(folder.glob("*.safetensors")):
        with safe_open(shard, "pt") as file:
            yield from ((name, file.get_tensor(name).flatten()) for name in file.keys() if SCALES.search(name))  # noqa: SIM118


def _loaded(model: torch.nn.Module) -> dict[str, list[torch.Tensor]]:
    """Return the scales of a model by decoder layer: its parameters, buffers, and plain attributes of kernels."""
    scales: dict[str, list[torch.Tensor]] = {}
    for path, module in model.named_modules():
        attributes = {**vars(module), **module._parameters, **module._buffers}
        for name, value in attributes.items():
            if "scale" in name and isinstance(value, torch.Tensor) and value.is_floating_point():
                scales.setdefault(_layer(f"{path}.{name}"), []).append(value.detach().flatten().cpu())
    return scales


def _missing(tensors: dict[str, torch.Tensor], loaded: list[torch.Tensor]) -> dict[str, int]:
    """Return the tensors of one layer with values that are loaded less often than they are stored."""
    kinds = {values.dtype for values in loaded}
    kind = kinds.pop() if len(kinds) == 1 else torch.float32
    as_loaded = {name: values.to(kind).float() for name, values in tensors.items()}
    there = _counts(torch.cat([values.float() for values in loaded]) if loaded else torch.empty(0))
    needed = _counts(torch.cat(list(as_loaded.values())))
    short = {value for value, count in needed.items() if there.get(value, 0) < count}
    missing = {}
    for name, values in as_loaded.items():
        if len(values) == 1 and _merged(name, as_loaded) & there.keys():
            continue
        count = sum(1 for value in values.tolist() if value in short or math.isnan(value))
        if count:
            missing[name] = count
    return missing


def _merged(name: str, tensors: dict[str, torch.Tensor]) -> set[float]:
    """Return the values that the scale of a whole tensor may have: its own, or the largest of those merged with it."""
    module, _, suffix = name.rpartition(".")
    parent = module.rpartition(".")[0]
    together = [
        float(values)
        for other, values in tensors.items()
        if len(values) == 1 and other.rpartition(".")[2] == suffix and other.rpartition(".")[0].startswith(parent)
    ]
    return {float(tensors[name]), max(together)}


def _counts(values: torch.Tensor) -> dict[float, int]:
    unique, counts = torch.unique(values, return_counts=True)
    return dict(zip(unique.tolist(), counts.tolist(), strict=True))
