"""The interfaces of the stores, and the types of their files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from compression_runner.errors import InvalidInput

Advance = Callable[[int], None]
"""Called with the number of bytes moved since the last call."""


def silent(_count: int) -> None:
    """Ignore the progress."""


def require_inside(path: str, field: str, url: str) -> None:
    """Raise InvalidInput if a name that a server lists is not a path below the location: a pod writes files there."""
    if ".." in path.split("/") or path.startswith("/") or "\\" in path:
        raise InvalidInput("PathRefused", field, f"{url}/{path}", "this name leads out of the location", "rename it")


@dataclass(frozen=True)
class Entry:
    """One file of a store: its path below the root, its size in bytes, and a tag that changes with its content."""

    path: str
    size: int
    tag: str


@dataclass(frozen=True)
class Upload:
    """A local file to upload, and the sha256 that its content must have."""

    source: Path
    path: str
    sha256: str


class Readable(Protocol):
    """Read access to the files below one location. Paths are relative, with "/"; errors have types of `errors`."""

    @property
    def url(self) -> str:
        """The location as the user wrote it."""

    def list(self) -> Sequence[Entry]:
        """Return every file below the location, by path; one entry if the location is a file."""

    def find(self, path: str) -> Entry | None:
        """Return one file; None if it is missing."""

    def read(self, path: str, start: int = 0, length: int | None = None) -> bytes:
        """Return a range of one file, without reading the rest."""

    def download(self, entry: Entry, target: Path, advance: Advance = silent) -> str:
        """Write one file to `target`, and return its sha256."""


class Store(Readable, Protocol):
    """Read and write access to the files below one location."""

    def checksum(self, entry: Entry, advance: Advance = silent) -> str:
        """Read one file without storing it, and return its sha256."""

    def write(self, path: str, content: bytes) -> None:
        """Write one small file, complete or not at all."""

    def publish(
        self, files: Sequence[Upload], marker: str, stale: Sequence[str] = (), advance: Advance = silent
    ) -> None:
        """Replace the files at the location by `files`, complete or not at all; `marker`, one of them, comes last.

        `stale` are the paths of the artifact that is there. A directory is replaced as a whole.
        """

    def require_replaceable(self, marker: str) -> None:
        """Raise InvalidInput if `publish` would destroy files that are not an artifact with a `marker`."""

    def require_writable(self) -> None:
        """Raise InvalidInput if `publish` is not allowed, as far as this is known in advance."""

    def withdraw(self, paths: Sequence[str], marker: str, tag: str | None = None) -> None:
        """Remove an artifact: the marker first, then its files; with a `tag`, only if it is the marker's."""

    def discard(self, paths: Sequence[str], marker: str) -> None:
        """Remove these files, the marker first, and incomplete uploads of a killed pod of this job.

        Other files stay. Empty folders are removed.
        """

    def remove(self, path: str) -> None:
        """Remove one file; a missing file is not an error."""
