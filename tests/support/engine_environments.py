"""Engines with environments of their own, as their images install them: slow the first time, gigabytes on the way."""

import subprocess
import sys
from pathlib import Path

from benchmarks.tooling import CACHE, interpreter_of

PINNED = Path(__file__).parents[2] / "images" / "engines"


def installed(*names: str) -> Path:
    """Return a folder of engines, as an image has it at /opt/engines."""
    folder = CACHE / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        python = interpreter_of(name, PINNED / f"{name}.txt")
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(python.parents[1])
        subprocess.run([str(python), "--version"], check=True, stdout=sys.stderr)
    return folder
