"""Refuse settings of a model that name files of the machine: a library would open them.

For example, tokenizers open a file whose name is in the setting `vocab`, and its content becomes part of the model.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from compression_runner.errors import InvalidInput

FIELD: Final = "spec.model.source"
VOCABULARIES: Final = frozenset({"tokenizer.json", "vocab.json", "added_tokens.json"})
"""Files whose texts are tokens; no library opens them as files."""
NOTES: Final = frozenset({"_name_or_path", "name_or_path", "tokenizer_file", "special_tokens_map_file"})
"""Settings with paths on the machine where a model was saved. Transformers replaces them by those of the folder."""
SYSTEM: Final = ("/proc/", "/dev/", "/sys/")
"""Folders whose files come and go, so that a check for existence proves nothing."""
MAX_PATH: Final = 4096


def require_own_files(folder: Path) -> None:
    """Raise InvalidInput if a JSON file in a model's folder names a file outside of the folder."""
    root = folder.resolve()
    for file in sorted(folder.rglob("*.json")):
        if file.name in VOCABULARIES or file.name.endswith(".index.json"):
            continue
        try:
            settings = json.loads(file.read_bytes())
        except (ValueError, RecursionError):
            continue  # what reads the file reports it
        for name, text in _texts("", settings):
            if name not in NOTES and _is_foreign(text, root):
                problem = f"its setting {name} names the file {text}, which is not in the folder"
                remedy = "remove the setting, or put the file beside the model"
                raise InvalidInput("PathRefused", FIELD, file.relative_to(folder).as_posix(), problem, remedy)


def _texts(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield each text of a JSON value, with the name of the setting that holds it."""
    pending = [(name, value)]
    while pending:
        name, value = pending.pop()
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, dict):
            pending.extend((str(key), item) for key, item in value.items())
        elif isinstance(value, list):
            pending.extend((name, item) for item in value)


def _is_foreign(text: str, root: Path) -> bool:
    if "/" not in text or len(text) > MAX_PATH or "\0" in text:
        return False
    try:
        path = Path(text).resolve()
        return str(path).startswith(SYSTEM) or (path.is_file() and root not in path.parents)
    except (OSError, RuntimeError):  # a name that is too long, or a loop of symlinks: nothing can open it
        return False
