"""Rows of a table as feature vectors, and the targets of a regression."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.problems import COLUMNS, bad_data
from compression_runner.dataset.table import Column, Table, number_columns

FIELD: Final = f"{COLUMNS}.features"


def feature_columns(path: Path, named: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return the names of the features: those in the job, or all columns of numbers except `others`.

    Raises InvalidInput if there is none.
    """
    names = list(named) or [column for column in number_columns(path) if column not in others]
    if not names:
        raise bad_data(FIELD, path.name, "no column holds numbers", "name the columns that the model takes")
    return names


def feature_rows(table: Table, names: Sequence[str]) -> NDArray[np.float32]:
    """Return the features of each row in the order of their names, shape (rows, features).

    Raises InvalidInput for a value that is not a finite number.
    """
    return np.stack([numbers(table[name], FIELD, name) for name in names], axis=1).astype(np.float32)


def numbers(values: Column, field: str, name: str) -> NDArray[np.float64]:
    """Return a column as numbers, shape (rows,). Raises InvalidInput for a value that is not a finite number."""
    result = np.empty(len(values), dtype=np.float64)
    for row, value in enumerate(values):
        number = _number(value)
        if number is None or not np.isfinite(number):
            problem = f"row {row} of column {name} is not a finite number"
            raise bad_data(field, repr(value), problem, "fill or leave out such rows, or name other columns")
        result[row] = number
    return result


def _number(value: Any) -> float | None:
    if isinstance(value, (str, bool, int, float, np.number, np.bool_)):
        try:
            return float(value)
        except ValueError:
            return None
    return None
