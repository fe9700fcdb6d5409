"""Safetensors files: the type of their weights, and writing them."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch


SHORT: Final = {"BF16": "bfloat16", "F16": "float16"}


def stored_type(folder: Path) -> "torch.dtype":
    """Return the 16-bit type of more than half of a checkpoint's numbers; float32 if there is none."""
    import torch
    from safetensors import safe_open

    counts: Counter[str] = Counter()
    for shard in folder.glob("*.safetensors"):
        with safe_open(shard, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                piece = file.get_slice(name)
                counts[piece.get_dtype()] += math.prod(piece.get_shape())
    for kind, name in SHORT.items():
        if 2 * counts[kind] > counts.total():
            dtype: torch.dtype = getattr(torch, name)
            return dtype
    return torch.float32


def save_shard(tensors: "Mapping[str, torch.Tensor]", target: Path) -> None:
    """Write tensors by name in the format of transformers. Raises SafetensorError, also for a full disk."""
    from safetensors.torch import save_file

    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), target, metadata={"format": "pt"})
