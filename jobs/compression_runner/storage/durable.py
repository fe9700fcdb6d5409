"""Files and renames that outlive a power cut."""

import os
from pathlib import Path


def write_synced(place: Path, content: bytes) -> None:
    """Writes a file, and waits until it is on the disk."""
    with place.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Makes renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
