"""The settings beside a model: config.json and its like."""

import json
from pathlib import Path
from typing import Any, Final

from compression_runner.dataset.problems import bad_data

CONFIG: Final = "config.json"
GENERATION_CONFIG: Final = "generation_config.json"


def model_config(model_dir: Path) -> dict[str, Any] | None:
    """Return what config.json says, None where there is none. Raises InvalidInput where it is no JSON object."""
    return _read(model_dir / CONFIG)


def generation_config(model_dir: Path) -> dict[str, Any]:
    """Return what generation_config.json says, nothing where there is none; raises as `model_config` does."""
    return _read(model_dir / GENERATION_CONFIG) or {}


def _read(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_bytes())  # bytes may begin with a byte order mark
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise bad_data("spec.model.source", file.name, "it is no JSON object", "save the model again")
    return content
