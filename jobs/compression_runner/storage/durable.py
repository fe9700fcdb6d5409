"""Files and renames that outlive a power cut, and folders that are left empty."""

import os
from collections.abc import Iterable
from contextlib import suppress
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


def remove_empty(root: Path, paths: Iterable[str]) -> None:
    """Removes the folders of files that are gone, `root` included, where nothing is left in them."""
    folders = {parent for path in paths for parent in Path(path).parents}
    for folder in sorted(folders, key=lambda it: -len(it.parts)):
        with suppress(OSError):
            (root / folder).rmdir()
