"""The multipart uploads of one job at a location, so that those of a killed pod are found again, and no others."""

import json
import uuid
from collections.abc import Callable
from typing import Final

from compression_runner.storage.s3_claims import Beside

UPLOADS: Final = "uploads-"

Abort = Callable[[str, str], bool]
"""Aborts the upload of a key by its id, and returns whether it is gone."""


class Ledger:
    """Ids of uploads, each recorded before its first part is sent. A local run has no uid, and records nothing."""

    def __init__(self, beside: Beside, job: str) -> None:
        self._beside = beside
        # Each pod writes a record of its own: of two pods of one job, none loses or ends what the other one uploads.
        self._prefix = f"{UPLOADS}{job}" if job else ""
        self._name = f"{self._prefix}.{uuid.uuid4().hex[:12]}" if job else ""
        self._uploads: list[list[str]] = []

    def abort_left(self, abort: Abort) -> None:
        """Aborts what an earlier, killed pod of this job has left; what the server keeps stays recorded."""
        for name in self._beside.names(self._prefix) if self._prefix else ():
            if name.split(".")[0] == self._prefix:
                self._end(name, abort)

    def add(self, key: str, upload: str) -> None:
        """Records an upload that was created."""
        if self._name:
            self._uploads.append([key, upload])
            self._beside.put(self._name, json.dumps(self._uploads).encode())

    def close(self, abort: Abort) -> None:
        """Removes the record, once no upload is under way any more."""
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
