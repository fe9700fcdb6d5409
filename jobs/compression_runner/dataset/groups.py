"""Which group each sample of the evaluation data belongs to."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from compression_runner.dataset.problems import COLUMNS, bad_data
from compression_runner.dataset.rows import Rows
from compression_runner.dataset.table import column_names, read_table

FIELD: Final = f"{COLUMNS}.group"
MISSING: Final = "(missing)"
MOST: Final = 50
"""Groups: a column with more values than these is a name or a measurement."""


def read_groups(path: Path, column: str, rows: Rows) -> tuple[str, ...]:
    """Return the group of each row. Rows without one are a group of their own.

    Raises InvalidInput where there is no such column, for one whose values are no names, and for one with more than
    MOST different values or a single one.
    """
    if path.is_dir():
        raise bad_data(
            FIELD, column, "a folder of samples has no columns", "give a table that has the group of each row"
        )
    if column not in column_names(path):
        there = ", ".join(column_names(path))
        raise bad_data(FIELD, column, "there is no such column", f"name the one that tells groups apart: {there}")
    groups = tuple(_name(value, row) for row, value in enumerate(read_table(path, [column], [], rows)[column]))
    different = len(set(groups))
    if different > MOST:
        remedy = "name a column with few values, such as ranges of it"
        raise bad_data(
            FIELD, column, f"it has {different} different values, and at most {MOST} groups are told apart", remedy
        )
    if different < 2:
        raise bad_data(FIELD, column, f"every row has the value {groups[0]}", "name a column that tells rows apart")
    return groups


def _name(value: Any, row: int) -> str:
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return MISSING
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value)).lower()
    if isinstance(value, (int, float, np.number)):
        return f"{float(value):.6g}"
    if isinstance(value, (str, np.str_)):
        return str(value).strip() or MISSING
    raise bad_data(FIELD, repr(value), f"row {row} has no text or number there", "name a column of names or numbers")
