"""Labels of a classification data set, as class numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.model_config import model_config
from compression_runner.dataset.problems import COLUMNS, bad_data
from compression_runner.dataset.table import Column

FIELD = f"{COLUMNS}.label"
MODEL = "spec.model.source"
CONFIG = "config.json"
DEFAULT = "LABEL_"
"""Prefix of the default names of classes in transformers, before the number."""


def class_names(model_dir: Path) -> dict[str, int]:
    """Return class name -> number from the model's config.json, as `names_of` does; empty if it names none."""
    return names_of(model_config(model_dir) or {})


def names_of(config: Mapping[str, Any]) -> dict[str, int]:
    """Return class name -> number from a configuration: real names first, then the default names LABEL_0 and so on.

    transformers answers with id2label, and keeps a default label2id beside it unless the author sets one, so both
    count. For a name of several classes in id2label, label2id decides. Raises InvalidInput if the two contradict each
    other, or one is not a map of names and numbers.
    """
    by_number = [(name, number) for number, name in _pairs(config, "id2label")]
    by_name = _pairs(config, "label2id")
    numbers: dict[str, list[int]] = {}
    for name, number in by_number:
        numbers.setdefault(str(name), []).append(_whole(number, "id2label"))
    for name, number in by_name:
        mapped, known = _whole(number, "label2id"), numbers.get(str(name))
        if known and mapped not in known:
            problem = f"id2label says that {known[0]} is {name}, and label2id that {mapped} is"
            raise bad_data(MODEL, CONFIG, problem, "correct the map that is wrong; transformers answers with id2label")
        numbers[str(name)] = [mapped]
    if not numbers:
        return {}
    every = {_whole(number, "id2label") for _, number in by_number} or {known[0] for known in numbers.values()}
    single = {name: known[0] for name, known in numbers.items() if len(known) == 1 and known[0] in every}
    real = {name: number for name, number in single.items() if name != f"{DEFAULT}{number}"}
    return real | {f"{DEFAULT}{number}": number for number in sorted(every) if f"{DEFAULT}{number}" not in real}


def _pairs(config: Mapping[str, Any], name: str) -> list[tuple[Any, Any]]:
    """Return the pairs of a map in the configuration; for a list, pairs of index and entry."""
    content = config.get(name) or {}
    if isinstance(content, list):
        return list(enumerate(content))
    if not isinstance(content, dict):
        raise bad_data(MODEL, CONFIG, f"{name} is not a map of names and numbers", "save it with save_pretrained")
    return list(content.items())


def _whole(value: Any, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    raise bad_data(MODEL, CONFIG, f"{name} has {value!r} in place of a class number", "write a whole number from 0")


def class_numbers(values: Column, names: Mapping[str, int]) -> NDArray[np.int64]:
    """Return labels as class numbers, shape (samples,).

    A label is a whole number, or a class name of the model. Raises InvalidInput for other values, and for a number
    that is no class of a model with class names.
    """
    known = set(names.values())
    numbers = np.empty(len(values), dtype=np.int64)
    for row, value in enumerate(values):
        number = _class_number(value, names)
        if number is None or number < 0 or (known and number not in known):
            raise bad_data(FIELD, value, f"the label of row {row} is not a class of the model", _remedy(names))
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
    named = {number: name for name, number in reversed(list(names.items()))}
    some = ", ".join(f"{number} ({named[number]})" for number in sorted(named)[:8])
    return f"give one of {some}" + (" and so on" if len(named) > 8 else "")
