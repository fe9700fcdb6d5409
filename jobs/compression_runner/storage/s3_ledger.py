"""The multipart uploads of one job at a location, so that those of a killed pod are found again, and no others."""

import json
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
        self._name = f"{UPLOADS}{job}" if job else ""
        self._uploads: list[list[str]] = []

    def abort_left(self, abort: Abort) -> None:
        """Aborts what an earlier, killed pod of this job has left; what the server keeps stays recorded."""
        content = self._beside.get(self._name) if self._name else None
        if content is None:
            return
        self._uploads = [[key, upload] for key, upload in _parse(content) if not abort(key, upload)]
        if not self._uploads:
            self._beside.drop(self._name)

    def add(self, key: str, upload: str) -> None:
        """Records an upload that was created."""
        if self._name:
            self._uploads.append([key, upload])
            self._beside.put(self._name, json.dumps(self._uploads).encode())

    def close(self, abort: Abort) -> None:
        """Removes the record, once no upload is under way any more."""
        if self._uploads:
            self.abort_left(abort)


def _parse(content: bytes) -> list[tuple[str, str]]:
    try:
        return [(str(key), str(upload)) for key, upload in json.loads(content)]
    except (ValueError, TypeError):
        return []
