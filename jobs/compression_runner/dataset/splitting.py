"""Which rows of a source that serves two purposes are measured on, and which are learned from."""

import hashlib
from collections.abc import Iterator
from itertools import islice

from compression_runner.dataset.rows import Rows
from compressionjob.data import DataRole, Split

MAX_ROWS = 10_000_000


def rows_wanted(split: Split | None, role: DataRole, limit: int) -> Rows:
    """The rows that play a role: the first `limit` of its side of a split, or of all."""
    return rows_of(split, role, limit) if split else range(limit)


def rows_of(split: Split, role: DataRole, limit: int) -> list[int]:
    """The first `limit` rows of a role, in the order of the file.

    A row's side is a hash of the seed and its number: it stays there whatever else is in the file.
    """
    return list(islice(_rows(split, role), limit))


def _rows(split: Split, role: DataRole) -> Iterator[int]:
    for row in range(MAX_ROWS):
        drawn = hashlib.blake2b(f"{split.seed}:{row}".encode(), digest_size=8).digest()
        measured = int.from_bytes(drawn, "big") / 2**64 < split.evaluation
        if measured == (role == "evaluation"):
            yield row
