"""One writer at a time at an S3 location, on servers with and without conditional writes.

Each writer creates a small object next to the location, `<location>.writer/claim-NUMBER-TRY-JOB`, with a number above
all existing ones. The highest claim owns the location: a later writer takes over, and the earlier one notices before
and after each write. A writer writes only its own claim: on servers without conditional writes, two writers could
overwrite a shared record. Lists must be consistent, as in AWS S3, MinIO, Ceph and versitygw.
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
    """Small objects next to a location, by name."""

    def names(self, prefix: str) -> Sequence[str]:
        """Return the names that begin with a prefix."""

    def get(self, name: str) -> bytes | None:
        """Return the content of an object; None if it is missing."""

    def put(self, name: str, content: bytes) -> None:
        """Write an object."""

    def drop(self, name: str) -> None:
        """Remove an object; a missing object is not an error."""


class Claim:
    """The claim of one attempt of a job to write at a location."""

    def __init__(self, beside: Beside, job: str, field: str, url: str) -> None:
        self._beside = beside
        self._field, self._url = field, url
        numbers = {name: int(name[len(CLAIM) :][:8]) for name in self._claims()}
        for name in [name for name, number in numbers.items() if number >= CEILING]:
            # No writer counts that far: the claim is not genuine, and no other could outrank it.
            beside.drop(name)
            del numbers[name]
        number = 1 + max(numbers.values(), default=0)
        self._name = f"{CLAIM}{number:08d}-{uuid.uuid4().hex[:12]}-{job or LOCAL}"
        beside.put(self._name, b"{}\n")

    def holds(self) -> bool:
        """Return whether no later writer has taken over."""
        claims = self._claims()
        return self._name in claims and max(claims) == self._name

    def require(self) -> None:
        """Raise StorageUnavailable, which names the later writer, if one has taken over."""
        if not self.holds():
            raise self.taken()

    def taken(self) -> StorageUnavailable:
        """Return the error of a writer that no longer owns the location."""
        match = _CLAIM.fullmatch(max(self._claims(), default=""))
        other = match["job"] if match and match["attempt"] not in self._name else ""
        writer = f"the job with uid {other} is publishing there" if other else "another job has published there"
        return taken(self._field, self._url, writer)

    def release(self) -> None:
        """Remove this claim and, if it is the highest, the earlier ones: their writers stop."""
        claims = self._claims()
        if self._name in claims and max(claims) == self._name:
            for name in claims:
                if name != self._name:
                    self._beside.drop(name)
        # Remove the own claim last: it outranks earlier claims until they are removed.
        self._beside.drop(self._name)

    def _claims(self) -> list[str]:
        return [name for name in self._beside.names(CLAIM) if _CLAIM.fullmatch(name)]
