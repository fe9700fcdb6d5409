"""Finished steps of the benchmark in the user's cache, so that an interrupted run continues."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Kept:
    """The folder of a row; `key` is the hash of what its checkpoint depends on."""

    folder: Path
    key: str

    def record(self, name: str, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the record of a finished step, or compute and keep it."""
        place = self._place(name, ".json")
        if not place.is_file():
            content = json.dumps(compute())
            place.write_text(content)
        record: dict[str, Any] = json.loads(place.read_text())
        return record

    def arrays(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """Return the arrays of a finished step, or compute and keep them."""
        place = self._place(name, ".npz")
        if not place.is_file():
            partial = place.with_suffix(".part.npz")
            np.savez(partial, **compute())  # type: ignore[arg-type]
            partial.replace(place)
        with np.load(place) as arrays:
            return dict(arrays)

    def _place(self, name: str, suffix: str) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{name}-{self.key}{suffix}"
