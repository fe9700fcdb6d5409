"""The config.json of a model's folder."""

import json
from pathlib import Path
from typing import Any, Final

from compression_runner.dataset.problems import bad_data

CONFIG: Final = "config.json"


def model_config(model_dir: Path) -> dict[str, Any] | None:
    """Return what config.json says, None where there is none. Raises InvalidInput where it is no JSON object."""
    file = model_dir / CONFIG
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_bytes())  # bytes may begin with a byte order mark
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise bad_data("spec.model.source", CONFIG, "it is no JSON object", "save the model again")
    return content
