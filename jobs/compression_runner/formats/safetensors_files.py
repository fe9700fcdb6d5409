"""Writing of safetensors files."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def save_shard(tensors: "Mapping[str, torch.Tensor]", target: Path) -> None:
    """Writes tensors by name as transformers does; a full disk is an OSError here too."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        save_file(dict(tensors), target, metadata={"format": "pt"})
    except SafetensorError as error:
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            if f"os error {number}" in str(error):
                raise OSError(number, os.strerror(number), str(target)) from error
        raise
