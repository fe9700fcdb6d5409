"""A record of the multipart uploads of one job at a location, to abort those of a killed pod."""

import json
import uuid
from collections.abc import Callable
from typing import Final

from compression_runner.storage.s3_claims import Beside

UPLOADS: Final = "uploads-"

Abort = Callable[[str, str], bool]
"""Aborts the upload of a key by its id, and returns whether it is gone."""


class Ledger:
    """Records the id of each upload before its first part is sent. A local run has no uid and records nothing."""

    def __init__(self, beside: Beside, job: str) -> None:
        self._beside = beside
        # Each pod writes its own record: two pods of one job must not lose or abort each other's uploads.
        self._prefix = f"{UPLOADS}{job}" if job else ""
        self._name = f"{self._prefix}.{uuid.uuid4().hex[:12]}" if job else ""
        self._uploads: list[list[str]] = []

    def abort_left(self, abort: Abort) -> None:
        """Abort the uploads of an earlier, killed pod of this job; those that the server keeps stay recorded."""
        for name in self._beside.names(self._prefix) if self._prefix else ():
            if name.split(".")[0] == self._prefix:
                self._end(name, abort)

    def add(self, key: str, upload: str) -> None:
        """Record an upload that was created."""
        if self._name:
            self._uploads.append([key, upload])
            self._beside.put(self._name, json.dumps(self._uploads).encode())

    def close(self, abort: Abort) -> None:
        """Remove the record when no upload is in progress."""
        if self._uploads:
            self._end(self._name, abort)

    def _end(self, name: str, abort: Abort) -> None:
        content = self._beside.get(name)
        left = [pair for pair in _parse(content or b"[]") if not abort(*pair)]
        if left:
            self._beside.put(name, json.dumps(left).encode())
        else:
            self._beside.drop(name)


def _parse(content: bytes) -> list[tuple[str, str]]:
    try:
        return [(str(key), str(upload)) for key, upload in json.loads(content)]
    except (ValueError, TypeError):
        return []
