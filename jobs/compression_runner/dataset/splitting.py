"""Split the rows of a source into evaluation rows and training rows."""

import hashlib
from collections.abc import Iterator
from itertools import islice

from compression_runner.dataset.rows import Rows
from compressionjob.data import DataRole, Split

MAX_ROWS = 10_000_000


def rows_wanted(split: Split | None, role: DataRole, limit: int) -> Rows:
    """Return the first `limit` rows of a role: of its side of a split, or of all rows."""
    return rows_of(split, role, limit) if split else range(limit)


def rows_of(split: Split, role: DataRole, limit: int) -> list[int]:
    """Return the first `limit` rows of a role, in the order of the file.

    A hash of the seed and the row number determines the side of a row, so other rows do not affect it.
    """
    return list(islice(_rows(split, role), limit))


def _rows(split: Split, role: DataRole) -> Iterator[int]:
    for row in range(MAX_ROWS):
        drawn = hashlib.blake2b(f"{split.seed}:{row}".encode(), digest_size=8).digest()
        evaluated = int.from_bytes(drawn, "big") / 2**64 < split.evaluation
        if evaluated == (role == "evaluation"):
            yield row
