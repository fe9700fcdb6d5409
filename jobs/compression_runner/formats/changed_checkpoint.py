"""Copies of a quantized checkpoint with one changed tensor, to test whether an engine uses the tensor."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from safetensors import safe_open

from compression_runner.formats.safetensors_files import save_shard

SCALE: Final = "weight_scale"
NOT_USED: Final = frozenset({"bias", "weight_shape"})
"""Tensors of a quantized layer that hold none of its codes and scales."""
ORDER: Final = "weight_g_idx"
FACTOR: Final = 4.0
SIGN: Final = 0x80


@dataclass(frozen=True)
class StoredTensor:
    """A tensor with its file and its number of values."""

    shard: Path
    size: int


def quantized_tensors(folder: Path) -> list[str]:
    """Return one tensor of each kind, such as weight_packed and weight_scale: those of the largest quantized layer.

    Empty for a checkpoint without quantized layers.
    """
    stored = dict(_stored(folder))
    layers = {name.removesuffix(f".{SCALE}") for name in stored if name.endswith(f".{SCALE}")}
    if not layers:
        return []
    parts = {layer: [name for name in stored if name.rpartition(".")[0] == layer] for layer in sorted(layers)}
    largest = max(parts, key=lambda layer: sum(stored[name].size for name in parts[layer]))
    return sorted(name for name in parts[largest] if name.rpartition(".")[2] not in NOT_USED)


def write_changed(folder: Path, name: str, into: Path) -> None:
    """Write a copy of a checkpoint in which the values of one tensor differ; other files are links.

    Raises OSError or SafetensorError, also for a full disk.
    """
    shard = dict(_stored(folder))[name].shard
    into.mkdir(parents=True)
    for file in folder.iterdir():
        if file != shard:
            (into / file.name).symlink_to(file.absolute())
    with safe_open(shard, "pt") as opened:
        tensors: Mapping[str, torch.Tensor] = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    save_shard({**tensors, name: _changed(name, tensors[name])}, into / shard.name)


def _changed(name: str, values: torch.Tensor) -> torch.Tensor:
    """Return valid values of the same type and shape: larger scales, other codes, other signs, another order."""
    if name.endswith(ORDER):
        return values.flip(0)
    if not values.is_floating_point():
        return ~values
    if values.element_size() == 1:
        return (values.view(torch.uint8) ^ SIGN).view(values.dtype)
    return values * FACTOR


def _stored(folder: Path) -> Iterator[tuple[str, StoredTensor]]:
    for shard in sorted(folder.glob("*.safetensors")):
        with safe_open(shard, "pt") as file:
            for name in file.keys():  # noqa: SIM118
                yield name, StoredTensor(shard, math.prod(file.get_slice(name).get_shape()))
