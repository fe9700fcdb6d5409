"""The settings files beside a model: config.json and generation_config.json."""

import json
from pathlib import Path
from typing import Any, Final

from compression_runner.dataset.problems import bad_data

CONFIG: Final = "config.json"
GENERATION_CONFIG: Final = "generation_config.json"


def model_config(model_dir: Path) -> dict[str, Any] | None:
    """Return the content of config.json; None if there is none. Raises InvalidInput if it is not a JSON object."""
    return _read(model_dir / CONFIG)


def generation_config(model_dir: Path) -> dict[str, Any]:
    """Return the content of generation_config.json; {} if there is none. Raises as `model_config` does."""
    return _read(model_dir / GENERATION_CONFIG) or {}


def _read(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_bytes())  # bytes may begin with a byte order mark
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise bad_data("spec.model.source", file.name, "it is not a JSON object", "save the model again")
    return content
