"""How the readers of evaluation data say what is wrong with it."""

from typing import Final

from compression_runner.errors import InvalidInput
from compressionjob.conditions import INVALID_INPUT

EVALUATION: Final = "spec.data.evaluation"
"""The readers speak of evaluation data; who reads other data puts its own field in place of this."""
SOURCE: Final = f"{EVALUATION}.source"
COLUMNS: Final = f"{EVALUATION}.columns"


def bad_data(field: str, value: object, problem: str, remedy: str) -> InvalidInput:
    """Return the error for evaluation data that cannot be used."""
    return InvalidInput(INVALID_INPUT, field, value, problem, remedy)
