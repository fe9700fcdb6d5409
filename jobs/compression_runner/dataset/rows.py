"""Selections of rows of a source: increasing numbers, a range or a list."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

Row = TypeVar("Row")
Rows = Sequence[int]
"""Row numbers from 0, strictly increasing."""


def end_of(rows: Rows) -> int:
    """Return the number of rows to read to reach the last selected one."""
    return rows[-1] + 1 if rows else 0


def within(rows: Rows, start: int, stop: int) -> list[int]:
    """Return the selected rows from `start` to before `stop`, counted from `start`."""
    return [row - start for row in rows[bisect_left(rows, start) : bisect_left(rows, stop)]]


def select_rows(every_row: Iterable[Row], rows: Rows) -> Iterator[Row]:
    """Yield the rows with these numbers; read no further than the last of them."""
    indices = iter(rows)
    following = next(indices, None)
    for number, row in enumerate(every_row):
        if following is None:
            return
        if number == following:
            yield row
            following = next(indices, None)
            if following is None:
                return
