"""The group of each sample of the evaluation data."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from compression_runner.dataset.problems import COLUMNS, bad_data, missing_group
from compression_runner.dataset.rows import Rows
from compression_runner.dataset.table import column_names, read_table

FIELD: Final = f"{COLUMNS}.group"
MISSING: Final = "(missing)"
MAX_GROUPS: Final = 50
"""Maximum number of groups: a column with more values is a name or a measurement."""


def read_groups(path: Path, column: str, rows: Rows) -> tuple[str, ...]:
    """Return the group of each row. Rows without a value form a group of their own.

    Raises InvalidInput if the column is missing, has values that are no names, a single value, or more than
    MAX_GROUPS different values.
    """
    if path.is_dir():
        raise bad_data(
            FIELD, column, "a folder of samples has no columns", "give a table that has the group of each row"
        )
    if column not in column_names(path):
        raise missing_group(column, column_names(path))
    groups = tuple(_name(value, row) for row, value in enumerate(read_table(path, [column], [], rows)[column]))
    different = len(set(groups))
    if different > MAX_GROUPS:
        remedy = "name a column with few values, such as ranges of it"
        raise bad_data(
            FIELD, column, f"it has {different} different values; at most {MAX_GROUPS} groups are supported", remedy
        )
    if different < 2:
        raise bad_data(FIELD, column, f"every row has the value {groups[0]}", "name a column with two or more values")
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
