"""Write files and renames durably (a power failure does not lose them), and remove empty folders."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def write_synced(place: Path, content: bytes) -> None:
    """Write a file, and wait until it is on the disk."""
    with place.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Make renames in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_empty(root: Path, paths: Iterable[str]) -> None:
    """Remove the folders of removed files, `root` included, if they are empty."""
    folders = {parent for path in paths for parent in Path(path).parents}
    for folder in sorted(folders, key=lambda it: -len(it.parts)):
        with suppress(OSError):
            (root / folder).rmdir()
