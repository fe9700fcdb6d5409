"""Labels of multi-label models: a 0 or a 1 for each label of the model."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.labels import FIELD, class_numbers
from compression_runner.dataset.model_config import model_config
from compression_runner.dataset.problems import bad_data
from compression_runner.dataset.table import Column
from compression_runner.errors import InvalidInput

MULTI_LABEL: Final = "multi_label_classification"
SINGLE_LABEL: Final = "single_label_classification"
REGRESSION: Final = "regression"
DEFAULT_LABELS: Final = 2
"""The number of labels in transformers if config.json names none."""


@dataclass(frozen=True)
class MultiLabel:
    """The interpretation of scores: each label separately, as in the pipeline of transformers.

    A logit above 0 (sigmoid above 0.5) sets a label. If the model is not known to return `logits`, scores that are all
    from 0 to 1 count as probabilities, and one above 0.5 sets a label.
    """

    logits: bool

    def threshold(self, baseline: NDArray[np.float32]) -> float:
        """Return the score above which a label is set, given the scores of the baseline."""
        probabilities = not self.logits and bool(((baseline >= 0.0) & (baseline <= 1.0)).all())
        return 0.5 if probabilities else 0.0


def label_count(config: Mapping[str, Any]) -> int:
    """Return the number of labels in config.json, as transformers counts them."""
    named = config.get("id2label") or config.get("label2id")
    stated = config.get("num_labels", config.get("_num_labels"))
    return len(named) if named else stated if isinstance(stated, int) else DEFAULT_LABELS


def multi_label_of(model_dir: Path, labels: Column | None, *, graph: bool = False) -> MultiLabel | None:
    """Return how the scores of a multi-label model are read; None for a model with one class per sample.

    problem_type in config.json decides; without it, lists in the data do, as in transformers. A `graph` may end in a
    sigmoid, whatever its config.json says. Raises InvalidInput for lists if config.json states a single label.
    """
    config = model_config(model_dir) or {}
    problem = config.get("problem_type")
    if problem == MULTI_LABEL:
        return MultiLabel(logits=not graph)
    row = next((row for row, value in enumerate(labels if labels is not None else ()) if _is_list(value)), None)
    if labels is None or row is None:
        return None
    if problem == SINGLE_LABEL:
        mismatch = f"row {row} is a list, and the model's config.json has problem_type {SINGLE_LABEL}"
        raise bad_data(FIELD, _short(labels[row]), mismatch, f"give one label for each row, or set it to {MULTI_LABEL}")
    return MultiLabel(logits=bool(config) and not graph)


def label_sets(values: Column, names: Mapping[str, int], model_dir: Path) -> NDArray[np.int64]:
    """Return labels as 0 and 1 for each label of the model, shape (samples, labels).

    A row is a list with a 0 or 1 for each label, a list of names or numbers of labels, a single label, or a list as
    JSON text. Raises InvalidInput for other values.
    """
    config = model_config(model_dir)
    count = len(set(names.values())) or (label_count(config) if config else None)
    rows = [_row(row, value, names) for row, value in enumerate(values)]
    if all(_is_hot(row, count or len(rows[0])) for row in rows):
        return np.asarray(rows, dtype=np.int64)
    if count is None:
        where = next(row for row, one in enumerate(rows) if not _is_hot(one, len(rows[0])))
        remedy = "give a 0 or a 1 for each label, or put a config.json with id2label beside the graph"
        raise bad_data(FIELD, _short(rows[where]), f"row {where} has labels that the model does not name", remedy)
    hot = np.zeros((len(rows), count), dtype=np.int64)
    for row, one in enumerate(rows):
        # In a list with a 0 or 1 for each of three or more labels, numbers repeat; label numbers must not repeat.
        if count > DEFAULT_LABELS and _is_hot(one, count):
            hot[row] = one
        else:
            hot[row, _numbers(row, one, names, count)] = 1
    return hot


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))


def _row(row: int, value: Any, names: Mapping[str, int]) -> list[Any]:
    if isinstance(value, str) and value not in names and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            raise bad_data(
                FIELD, _short(value), f"row {row} is not a list of labels", "write it as JSON: [0, 1]"
            ) from None
    entries = np.asarray(value).tolist() if isinstance(value, np.ndarray) else value
    entries = list(entries) if isinstance(entries, (list, tuple)) else [entries]
    if any(entry is None or _is_list(entry) for entry in entries):
        remedy = "give a list of 0 and 1, or of names or numbers; an empty list means that no label applies"
        raise bad_data(FIELD, _short(value), f"row {row} is not a list of labels", remedy)
    return entries


def _is_hot(row: Sequence[Any], count: int) -> bool:
    """Return whether a row has a 0 or a 1 for each label."""
    return len(row) == count and all(not isinstance(entry, str) and entry in (0, 1) for entry in row)


def _numbers(row: int, entries: Sequence[Any], names: Mapping[str, int], count: int) -> list[int]:
    """Return the numbers of the labels in a row."""
    either = f"give 0 or 1 for each of the {count} labels, or the names or numbers of those that apply, each once"
    try:
        numbers = class_numbers(list(entries), names).tolist()
    except InvalidInput as error:
        problem = f"row {row} has a value that is not a label of the model"
        raise bad_data(FIELD, error.value, problem, f"{either}; {error.remedy}") from error
    if len(set(numbers)) < len(numbers) or any(number >= count for number in numbers):
        raise bad_data(FIELD, _short(entries), f"row {row} does not fit a model of {count} labels", either)
    return [int(number) for number in numbers]


def _short(value: Any) -> str:
    text = str(np.asarray(value).tolist() if isinstance(value, np.ndarray) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
