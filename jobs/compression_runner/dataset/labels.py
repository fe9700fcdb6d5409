"""Labels of a classification data set, as class numbers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.problems import COLUMNS, bad_data
from compression_runner.dataset.table import Column

FIELD = f"{COLUMNS}.label"


def class_names(model_dir: Path) -> dict[str, int]:
    """Return class name -> number from the model's config.json; empty where it names none."""
    config = model_dir / "config.json"
    if not config.is_file():
        return {}
    names = json.loads(config.read_text()).get("label2id") or {}
    return {str(name): int(number) for name, number in names.items()}


def class_numbers(values: Column, names: Mapping[str, int]) -> NDArray[np.int64]:
    """Return labels as class numbers, shape (samples,).

    A label is a whole number, or a name that the model knows. Raises InvalidInput for anything else, and for a number
    that is not one of the model's classes where it names them.
    """
    known = set(names.values())
    numbers = np.empty(len(values), dtype=np.int64)
    for row, value in enumerate(values):
        number = _class_number(value, names)
        if number is None or number < 0 or (known and number not in known):
            raise bad_data(FIELD, value, f"row {row} has no class of the model as its label", _remedy(names))
        numbers[row] = number
    return numbers


def _class_number(value: Any, names: Mapping[str, int]) -> int | None:
    if isinstance(value, str):
        if value in names:
            return names[value]
        return int(value) if value.strip().isdecimal() else None
    if isinstance(value, (bool, int, np.integer, np.bool_)):
        return int(value)
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return int(value)
    return None


def _remedy(names: Mapping[str, int]) -> str:
    if not names:
        return "give whole numbers from 0"
    some = ", ".join(f"{number} ({name})" for name, number in list(names.items())[:8])
    return f"give one of {some}" + (" and so on" if len(names) > 8 else "")
