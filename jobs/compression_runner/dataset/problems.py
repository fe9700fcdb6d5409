"""Errors for unsuitable evaluation data."""

from collections.abc import Sequence
from typing import Final

from compression_runner.errors import InvalidInput
from compressionjob.conditions import INVALID_INPUT

EVALUATION: Final = "spec.data.evaluation"
"""Readers report fields of evaluation data; `load_samples` replaces the prefix for data of other roles."""
SOURCE: Final = f"{EVALUATION}.source"
COLUMNS: Final = f"{EVALUATION}.columns"


def row_name(row: int, value: object = None) -> str:
    """Return "row 3", with the file name for a file of a folder."""
    path = value.get("path") if isinstance(value, dict) else None
    return f"row {row} ({path})" if isinstance(path, str) and path else f"row {row}"


def bad_data(field: str, value: object, problem: str, remedy: str) -> InvalidInput:
    """Return the error for unsuitable evaluation data."""
    return InvalidInput(INVALID_INPUT, field, value, problem, remedy)


def missing_column(
    field: str, name: str, names: Sequence[str], why: str = "there is no such column", remedy: str = "name one of them"
) -> InvalidInput:
    """Return the error for a column that the job needs and the data, which has the columns `names`, lacks."""
    return bad_data(field, name, f"{why}; the columns are: {', '.join(names) or 'none'}", remedy)


def missing_group(name: str, names: Sequence[str]) -> InvalidInput:
    """Return the error for a column of groups that the data lacks."""
    return missing_column(f"{COLUMNS}.group", name, names, remedy="name the column of the groups")


def missing_answers(field: str, name: str, names: Sequence[str], metric: str | None) -> InvalidInput:
    """Return the error for a column of labels or targets (`field`) that the data lacks; `metric` needs it, if any."""
    why = f"metric {metric} needs labels" if metric else "there is no such column"
    return missing_column(f"{COLUMNS}.{field}", name, names, why, f"name the column of the {field}s")
