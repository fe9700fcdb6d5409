"""Writing of safetensors files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def save_shard(tensors: "Mapping[str, torch.Tensor]", target: Path) -> None:
    """Writes tensors by name as transformers does. Raises SafetensorError, of a full disk too."""
    from safetensors.torch import save_file

    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), target, metadata={"format": "pt"})
