"""One writer at a time at an S3 location, on servers with and without conditional writes.

Each writer leaves a small object beside the location, `<location>.writer/claim-NUMBER-TRY-JOB`, with a number above
all that it sees. The highest claim has the location: a later writer takes over, and the earlier one notices before and
after each write. A writer writes only its own claim: one record that all share could be overwritten by two of them
where the server has no conditional writes. Lists must be consistent, as in AWS S3, MinIO, Ceph and versitygw.
"""

import re
import uuid
from collections.abc import Sequence
from typing import Final, Protocol

from compression_runner.errors import StorageUnavailable, taken

LOCAL: Final = "local"
CLAIM: Final = "claim-"
CEILING: Final = 90_000_000
_CLAIM: Final = re.compile(r"claim-(?P<number>[0-9]{8})-(?P<attempt>[0-9a-f]{12})-(?P<job>.*)")


class Beside(Protocol):
    """Small objects beside a location, by their names."""

    def names(self, prefix: str) -> Sequence[str]:
        """Names that begin with a prefix."""

    def get(self, name: str) -> bytes | None:
        """The content of one, None where there is none."""

    def put(self, name: str, content: bytes) -> None:
        """Writes one."""

    def drop(self, name: str) -> None:
        """Removes one; none is no error."""


class Claim:
    """The claim of one try of a job to write at a location."""

    def __init__(self, beside: Beside, job: str, field: str, url: str) -> None:
        self._beside = beside
        self._field, self._url = field, url
        numbers = {name: int(name[len(CLAIM) :][:8]) for name in self._claims()}
        for name in [name for name, number in numbers.items() if number >= CEILING]:
            # No writer counts that far, and none could outrank it.
            beside.drop(name)
            del numbers[name]
        number = 1 + max(numbers.values(), default=0)
        self._name = f"{CLAIM}{number:08d}-{uuid.uuid4().hex[:12]}-{job or LOCAL}"
        beside.put(self._name, b"{}\n")

    def holds(self) -> bool:
        """Whether no later writer has taken over."""
        claims = self._claims()
        return self._name in claims and max(claims) == self._name

    def require(self) -> None:
        """Raises StorageUnavailable, naming who has the location, where a later writer has taken over."""
        if not self.holds():
            raise self.taken()

    def taken(self) -> StorageUnavailable:
        """What ends a writer that no longer has the location."""
        found = _CLAIM.fullmatch(max(self._claims(), default=""))
        other = found["job"] if found and found["attempt"] not in self._name else ""
        who = f"the job with uid {other} is publishing there" if other else "another job has published there"
        return taken(self._field, self._url, who)

    def release(self) -> None:
        """Ends this claim and, where it was the highest, the earlier ones: their writers stop."""
        claims = self._claims()
        if self._name in claims and max(claims) == self._name:
            for name in claims:
                if name != self._name:
                    self._beside.drop(name)
        # The last one: as long as an earlier claim is there, this one outranks it.
        self._beside.drop(self._name)

    def _claims(self) -> list[str]:
        return [name for name in self._beside.names(CLAIM) if _CLAIM.fullmatch(name)]
