"""Engines with Python environments of their own: where the image has them, and what their processes inherit."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from compressionjob.pod_interface import ENGINES, ENGINES_VARIABLE

PASSED_ON: Final = ("PATH", "HOME", "TMPDIR", "LANG", "LC_", "LD_LIBRARY_PATH", "CUDA_", "NVIDIA_", "OMP_")
"""Prefixes of environment variables that engines get; credentials are not among them."""
OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}


def interpreter_path(name: str) -> Path:
    """Return the path of an engine's interpreter, which may not exist."""
    return Path(os.environ.get(ENGINES_VARIABLE) or ENGINES) / name / "bin" / "python"


def missing(name: str) -> str:
    """Return why an engine cannot run here; empty if the image has it."""
    python = interpreter_path(name)
    return "" if python.is_file() else f"the runner's image has no {name} (there is no {python})"


def passed_on(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of an engine's process: offline, and without credentials."""
    return {key: value for key, value in environment.items() if key.startswith(PASSED_ON)} | OFFLINE
