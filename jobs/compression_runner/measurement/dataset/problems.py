"""How the readers of evaluation data say what is wrong with it."""

from typing import Final

from compression_runner.errors import InvalidInput
from compressionjob.conditions import INVALID_INPUT

SOURCE: Final = "spec.data.evaluation.source"
COLUMNS: Final = "spec.data.evaluation.columns"


def bad_data(field: str, value: object, problem: str, remedy: str) -> InvalidInput:
    """Return the error for evaluation data that cannot be used."""
    return InvalidInput(INVALID_INPUT, field, value, problem, remedy)
