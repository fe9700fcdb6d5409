"""The retention state of a CompressionJob: files left to remove, and the Job that removes them."""

from dataclasses import dataclass
from typing import Final

from compression_operator.records.reading import Raw
from compressionjob.retention import RETAINED


@dataclass(frozen=True, slots=True)
class Cleanup:
    """The removal of files whose lifetime has passed.

    ``retains``: files with a lifetime are left. ``active``: a Job of the part Clean runs, or is about to start.
    ``attempts`` is the number of such Jobs that have ended.
    """

    retains: bool = False
    active: bool = False
    attempts: int = 0

    @classmethod
    def of(cls, status: Raw) -> "Cleanup":
        """Read the state from a status."""
        retention = status.get("retention")
        if not retention:
            return NO_CLEANUP
        cleaned, given_up = retention.get("cleaned") or (), bool(retention.get("givenUp"))
        left = any(retention.get(kind) and kind not in cleaned for kind in RETAINED)
        return cls(left and not given_up, bool(retention.get("cleaning")), int(retention.get("attempts") or 0))


NO_CLEANUP: Final = Cleanup()
