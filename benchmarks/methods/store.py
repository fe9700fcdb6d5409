"""results.json: figures by example, each with the fingerprint of its inputs; written after every run."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class Results:
    """The existing and new results."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.content: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}

    def has(self, name: str, fingerprint: str) -> bool:
        """Return whether the example was run with this fingerprint."""
        return bool(self.content.get(name, {}).get("fingerprint") == fingerprint)

    def put(self, name: str, fingerprint: str, figures: dict[str, Any]) -> None:
        """Store the figures of an example; the file is replaced atomically."""
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        self.content[name] = {"fingerprint": fingerprint, "date": today, **figures}
        partial = self._path.with_suffix(".part")
        partial.write_text(json.dumps(dict(sorted(self.content.items())), indent=1) + "\n")
        partial.replace(self._path)
