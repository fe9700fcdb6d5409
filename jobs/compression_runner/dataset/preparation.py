"""What of a model decides how data is prepared for it: what lies beside its weights, and readers look at."""

import hashlib
import json
from pathlib import Path
from typing import Final

# Transformers rewrites these with every save.
VOLATILE: Final = frozenset({"transformers_version", "dtype", "torch_dtype", "_name_or_path", "architectures"})
READ: Final = (".json", ".txt", ".model", ".jinja", ".tiktoken")
"""How the files end from which tokenizers and preprocessors are made."""
NOT_READ: Final = ("artifact.json", "surgery.json")


def identity(model_dir: Path) -> str:
    """The same for two models for which data is prepared alike."""
    digest = hashlib.sha256()
    for place in sorted(model_dir.rglob("*")):
        name = place.relative_to(model_dir).as_posix()
        if place.is_file() and name.endswith(READ) and name not in NOT_READ and not name.endswith(".index.json"):
            digest.update(f"{name} {hashlib.sha256(_content(place)).hexdigest()}\n".encode())
    return digest.hexdigest()


def _content(place: Path) -> bytes:
    """A file's content; of JSON what it says, however it is written."""
    content = place.read_bytes()
    try:
        told = json.loads(content) if place.suffix == ".json" else None
    except ValueError:
        return content
    if not isinstance(told, dict):
        return content
    return json.dumps({key: value for key, value in told.items() if key not in VOLATILE}, sort_keys=True).encode()
