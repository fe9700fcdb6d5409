"""Which rows of a source are read: increasing numbers, a range or a list."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

Row = TypeVar("Row")
Rows = Sequence[int]
"""Numbers of rows from 0, each larger than the one before."""


def end_of(rows: Rows) -> int:
    """Return how many rows have to be looked at to have all of these."""
    return rows[-1] + 1 if rows else 0


def within(rows: Rows, start: int, stop: int) -> list[int]:
    """Return those from `start` to before `stop`, counted from `start`."""
    return [row - start for row in rows[bisect_left(rows, start) : bisect_left(rows, stop)]]


def chosen(found: Iterable[Row], rows: Rows) -> Iterator[Row]:
    """Yield the rows of these numbers, and read no further than the last of them."""
    wanted = iter(rows)
    following = next(wanted, None)
    for number, row in enumerate(found):
        if following is None:
            return
        if number == following:
            yield row
            following = next(wanted, None)
            if following is None:
                return
