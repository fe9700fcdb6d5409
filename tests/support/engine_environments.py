"""Engines with environments of their own, as their images install them: slow the first time, gigabytes on the way.

`python -m tests.support.engine_environments NAME ...` installs them.
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.tooling import CACHE, environment, interpreter_of, is_environment
from localcluster import site

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


def is_installed(name: str) -> bool:
    """Return whether the environment of an engine exists, with the requirements of its image."""
    return is_environment(CACHE / f"{name}-venv", PINNED / f"{name}.txt")


def for_pods(name: str) -> Path:
    """Return a folder of engines for the pods of the local cluster, with the Python of their image."""
    folder = CACHE / "pod-engines"
    environment(folder / name, PINNED / f"{name}.txt", site.PYTHON)
    return folder


if __name__ == "__main__":
    installed(*sys.argv[1:])
