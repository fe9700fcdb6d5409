"""Checkpoints: in this repository as float16, unpacked as float32, and in the cache."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samples.packages import move

WEIGHTS = "model.safetensors"


def write_float16(folder: Path, weights: Mapping[str, NDArray[np.generic]]) -> None:
    """Write model.safetensors into `folder` with every float as float16: half the bytes in the repository."""
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    halved = {
        name: values.astype(np.float16) if values.dtype.kind == "f" else values for name, values in weights.items()
    }
    (folder / WEIGHTS).write_bytes(save(halved, metadata={"format": "pt"}))


def unpack(folder: Path, into: Path) -> None:
    """Write a shipped checkpoint to `into` as a Transformers directory with float32 weights."""
    from safetensors.numpy import load_file, save

    into.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.iterdir()):
        if file.name != WEIGHTS:
            shutil.copyfile(file, into / file.name)
    widened = {
        name: values.astype(np.float32) if values.dtype == np.float16 else values
        for name, values in load_file(folder / WEIGHTS).items()
    }
    # save_file would write a file that only its owner can read; pods run as another user.
    (into / WEIGHTS).write_bytes(save(widened, metadata={"format": "pt"}))


def keep(fresh: Path, kept: Path) -> None:
    """Move a finished checkpoint into the cache, readable for all users, since pods run as another user."""
    fresh.chmod(0o755)
    for file in fresh.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    move(fresh, kept)
