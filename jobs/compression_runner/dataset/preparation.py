"""The identity of a model's data preparation: the tokenizer and preprocessor files beside its weights."""

import hashlib
import json
from pathlib import Path
from typing import Final

# Transformers rewrites these with every save.
VOLATILE: Final = frozenset({"transformers_version", "dtype", "torch_dtype", "_name_or_path", "architectures"})
READ: Final = (".json", ".txt", ".model", ".jinja", ".tiktoken")
"""Suffixes of the files that tokenizers and preprocessors read."""
NOT_READ: Final = ("artifact.json", "surgery.json")


def identity(model_dir: Path) -> str:
    """Return a digest that is equal for two models with the same data preparation."""
    digest = hashlib.sha256()
    for file in sorted(model_dir.rglob("*")):
        name = file.relative_to(model_dir).as_posix()
        if file.is_file() and name.endswith(READ) and name not in NOT_READ and not name.endswith(".index.json"):
            digest.update(f"{name} {hashlib.sha256(_content(file)).hexdigest()}\n".encode())
    return digest.hexdigest()


def _content(file: Path) -> bytes:
    """Return the content of a file; JSON in a normalized form, without volatile settings."""
    content = file.read_bytes()
    try:
        settings = json.loads(content) if file.suffix == ".json" else None
    except ValueError:
        return content
    if not isinstance(settings, dict):
        return content
    return json.dumps({key: value for key, value in settings.items() if key not in VOLATILE}, sort_keys=True).encode()
