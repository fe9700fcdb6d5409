"""Paths of the local cluster."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCES = Path(__file__).resolve().parent

# Sockets and process records. The path is short (a socket's path has at most 107 bytes) and the same for every clone
# and environment, so that `down` finds the processes even after the cache was moved or deleted.
RUN = Path("/run/compression-operator")


def cache() -> Path:
    """Return the cache folder, which all clones on this machine share."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "compression-operator"


def binaries() -> Path:
    """Return the folder of executables, to put on PATH."""
    return cache() / "bin"


def state() -> Path:
    """Return the folder of the running cluster: its data, credentials and configuration."""
    return cache() / "localcluster"


def logs() -> Path:
    """Return the folder with the log of every component and pod."""
    return state() / "logs"
