"""Publish a set of files at an S3 location: complete, with the marker last, by one writer at a time.

S3 has no rename. The marker seals the files: it is removed before the first file is written, and written after the
last. It has the SHA-256 of each file, so a reader that compares them never accepts a mix of two writers' files.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from compression_runner.errors import InvalidInput, RunnerError, StorageUnavailable
from compression_runner.storage.s3_claims import Claim
from compression_runner.storage.store import Advance, Entry, Upload, silent

PASSES: Final = 4
"""Number of times that files are sent; files that another writer changed are sent again."""


class AlreadyThere(Exception):
    """An object that must be new exists."""


class Objects(Protocol):
    """The objects below a location."""

    def find(self, path: str) -> Entry | None:
        """Return one object, or None."""

    def read(self, path: str) -> bytes:
        """Return the content of one object."""

    def remove(self, path: str) -> None:
        """Remove one object; a missing object is not an error."""

    def send(self, upload: Upload, advance: Advance, *, only_new: bool = False) -> Entry:
        """Upload one object. `only_new`: raise AlreadyThere if it exists, on servers with conditional writes."""

    def incomplete(self, path: str, problem: str) -> StorageUnavailable:
        """Return the error of a publication that cannot be completed."""


class Publication:
    """One publication. `claim` is None if several writers may write the same content (checkpoints)."""

    def __init__(self, objects: Objects, claim: Claim | None, marker: str) -> None:
        self._objects = objects
        self._claim = claim
        self._marker = marker
        self._sent: dict[str, Entry] = {}

    def run(self, files: Sequence[Upload], stale: Iterable[str], advance: Advance) -> None:
        """Upload all files, the marker last; after a failure, remove the uploaded files.

        If another writer has taken over, raises StorageUnavailable and does not touch the existing files.
        """
        try:
            self._remove(self._marker)
            for path in {*stale} - {upload.path for upload in files}:
                self._remove(path)
            self._fill(files, advance)
        except BaseException:
            # The first error is raised again.
            with suppress(RunnerError):
                self._roll_back()
            raise

    def clear(self, paths: Iterable[str]) -> None:
        """Remove the marker, then the files. Raises StorageUnavailable if another writer has taken over."""
        for path in (self._marker, *paths):
            self._remove(path)

    def _fill(self, files: Sequence[Upload], advance: Advance) -> None:
        for _ in range(PASSES):
            for upload in sorted(files, key=lambda item: item.path == self._marker):
                if upload.path not in self._sent:
                    self._send(upload, advance)
            if self._claim is None or self._is_settled():
                return
            advance = silent
        raise self._objects.incomplete(self._marker, "other files appear there again and again")

    def _send(self, upload: Upload, advance: Advance) -> None:
        self._require()
        last = self._claim is not None and upload.path == self._marker
        try:
            self._sent[upload.path] = self._objects.send(upload, advance, only_new=last)
        except AlreadyThere:
            # A late write of an earlier writer, or an own attempt whose response was lost.
            self._remove(self._marker)
            self._sent[upload.path] = self._objects.send(upload, silent)
        if self._claim is None:
            self._require_size(self._sent[upload.path])
        elif not self._claim.holds():
            self._expose(upload)
            raise self._claim.taken()

    def _require_size(self, sent: Entry) -> None:
        stored = self._objects.find(sent.path)
        if stored is None or stored.size != sent.size:
            present = "nothing" if stored is None else f"{stored.size} bytes"
            raise self._objects.incomplete(sent.path, f"{sent.size} bytes were uploaded and {present} is there")

    def _is_settled(self) -> bool:
        """Return whether all files are as sent; otherwise remove the marker, and mark the changed files as unsent."""
        changed = [path for path, sent in self._sent.items() if self._objects.find(path) != sent]
        if not changed:
            return True
        self._remove(self._marker)
        for path in {*changed, self._marker}:
            self._sent.pop(path, None)
        return False

    def _expose(self, upload: Upload) -> None:
        """Remove the later writer's marker, if this upload came after it and overwrote one of its files."""
        sent = self._sent[upload.path]
        if self._objects.find(upload.path) != sent or self._objects.find(self._marker) is None:
            return
        if upload.path == self._marker or upload.sha256.encode() not in self._sealed():
            self._objects.remove(self._marker)

    def _sealed(self) -> bytes:
        """Return the marker's content; empty if its writer has removed it."""
        try:
            return self._objects.read(self._marker)
        except InvalidInput:
            if self._objects.find(self._marker) is not None:
                raise
            return b""

    def _remove(self, path: str) -> None:
        self._require()
        self._objects.remove(path)
        if self._claim is not None and not self._claim.holds():
            # It may have been a file of the later writer, if that one has finished.
            missing = path != self._marker and self._objects.find(path) is None
            if missing and json.dumps(path).encode() in self._sealed():
                self._objects.remove(self._marker)
            raise self._claim.taken()

    def _require(self) -> None:
        if self._claim is not None:
            self._claim.require()

    def _roll_back(self) -> None:
        """Remove the files that are still as this writer sent them."""
        for path, sent in sorted(self._sent.items(), key=lambda item: item[0] != self._marker):
            if self._objects.find(path) == sent:
                self._remove(path)
