"""The interfaces of the stores, and what they say about the files in them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Advance = Callable[[int], None]
"""Called with the number of bytes moved since the last call."""


def silent(_count: int) -> None:
    """An Advance that nobody watches."""


@dataclass(frozen=True)
class Entry:
    """One file of a store: its path below the root, its size in bytes, and a tag that changes with its content."""

    path: str
    size: int
    tag: str


@dataclass(frozen=True)
class Upload:
    """One local file on its way into a store; `sha256` is what its content has to be."""

    source: Path
    path: str
    sha256: str


class Readable(Protocol):
    """Files below one location, to read. Paths are relative, with "/"; all methods raise the types of `errors`."""

    @property
    def url(self) -> str:
        """The location as the user wrote it."""

    def list(self) -> Sequence[Entry]:
        """Every file below the location, by path; the location itself as one entry where it is a file."""

    def find(self, path: str) -> Entry | None:
        """One file, or None where there is none."""

    def read(self, path: str, start: int = 0, length: int | None = None) -> bytes:
        """A range of one file, without reading the rest."""

    def download(self, entry: Entry, target: Path, advance: Advance = silent) -> str:
        """Writes one file to `target` and returns its sha256."""


class Store(Readable, Protocol):
    """Files below one location, to read and to write."""

    def checksum(self, entry: Entry, advance: Advance = silent) -> str:
        """Reads one file, without keeping it, and returns its sha256."""

    def write(self, path: str, content: bytes) -> None:
        """Writes one small file, complete or not at all."""

    def publish(
        self, files: Sequence[Upload], marker: str, stale: Sequence[str] = (), advance: Advance = silent
    ) -> None:
        """Makes `files` what lies at the location, complete or absent: `marker` (one of them) comes last.

        `stale` are the paths of the artifact that lay there before. A directory is replaced as a whole.
        """

    def require_replaceable(self, marker: str) -> None:
        """Raises InvalidInput where `publish` would destroy files that are no artifact (which has a `marker`)."""

    def require_writable(self) -> None:
        """Raises InvalidInput where it is known before the work that `publish` is not allowed."""

    def withdraw(self, paths: Sequence[str], marker: str, tag: str | None = None) -> None:
        """Removes an artifact: the marker first, then its files; with a `tag`, only while it is the marker's."""

    def discard(self, paths: Sequence[str], marker: str) -> None:
        """Removes these files, the marker first, with what a killed pod of this job left of them half written.

        Other files stay. A folder in which nothing is left goes, too.
        """

    def remove(self, path: str) -> None:
        """Removes one file; none is no error."""
