"""How the readers of evaluation data say what is wrong with it."""

from typing import Final

from compression_runner.errors import InvalidInput
from compressionjob.conditions import INVALID_INPUT

EVALUATION: Final = "spec.data.evaluation"
"""The readers speak of evaluation data; who reads other data puts its own field in place of this."""
SOURCE: Final = f"{EVALUATION}.source"
COLUMNS: Final = f"{EVALUATION}.columns"


def row_name(row: int, value: object = None) -> str:
    """Return "row 3", and the file's name where the value is one of a folder."""
    path = value.get("path") if isinstance(value, dict) else None
    return f"row {row} ({path})" if isinstance(path, str) and path else f"row {row}"


def bad_data(field: str, value: object, problem: str, remedy: str) -> InvalidInput:
    """Return the error for evaluation data that cannot be used."""
    return InvalidInput(INVALID_INPUT, field, value, problem, remedy)
