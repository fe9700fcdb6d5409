"""Read the questions of a task for a language model, with their choices and answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from compression_runner.artifact import sha256_of
from compression_runner.dataset.problems import COLUMNS, SOURCE, bad_data
from compression_runner.dataset.table import Table, read_table
from compression_runner.errors import InvalidInput
from compressionjob.task_data import EvaluationTask, placeholders

LEAST: Final = 2
"""Fewest questions that are scored."""


@dataclass(frozen=True)
class Document:
    """One question: the text before the answer, the choices, and the answer.

    The answer is the number of a choice, or without choices a text.
    """

    prompt: str
    choices: tuple[str, ...]
    answer: int | str

    @property
    def chance(self) -> float:
        """The score of a model that guesses."""
        return 1.0 / len(self.choices) if self.choices else 0.0


@dataclass(frozen=True)
class TaskDocuments:
    """The scored questions of a task, and the examples in front of each; `digest` is the SHA-256 of the file.

    `field` is the task's place in the spec.
    """

    task: EvaluationTask
    field: str
    documents: tuple[Document, ...]
    examples: tuple[Document, ...]
    digest: str

    @property
    def chance(self) -> float:
        """The mean score of a model that guesses."""
        return float(np.mean([document.chance for document in self.documents]))


def read_task(task: EvaluationTask, path: Path, field: str) -> TaskDocuments:
    """Return the questions of a task from its file; the first rows are the examples.

    Raises InvalidInput, with the field, for a file or a row that is not such a question, and for too few rows.
    """
    try:
        table = read_table(path, task.columns_needed(), (), range(task.few_shot + task.limit))
        documents = tuple(_documents(task, table))
    except InvalidInput as error:
        at = error.field.replace(COLUMNS, f"{field}.columns").replace(SOURCE, f"{field}.source")
        raise InvalidInput(error.reason, at, error.value, error.problem, error.remedy) from error
    scored = len(documents) - task.few_shot
    if scored < LEAST:
        problem = f"the file has {len(documents)} rows: {max(0, scored)} are left to be scored after the examples"
        remedy = f"give at least {task.few_shot + LEAST} rows, or fewer examples"
        raise bad_data(f"{field}.fewShot", task.few_shot, problem, remedy)
    digest = f"sha256:{sha256_of(path)}"
    return TaskDocuments(task, field, documents[task.few_shot :], documents[: task.few_shot], digest)


def _documents(task: EvaluationTask, table: Table) -> Iterator[Document]:
    columns, prompt = task.columns, task.prompted_by
    names = {name: task.column_of(name) for name in placeholders(prompt)}
    for row in range(len(table[columns.answer])):
        values = {name: _text(table[column][row], column, row) for name, column in names.items()}
        choices = _choices(table[columns.choices][row], row) if task.kind == "multiple-choice" else ()
        # The values are texts, and placeholders allow names only: format cannot reach anything else.
        yield Document(prompt.format_map(values), choices, _answer(table[columns.answer][row], choices, row))


def _text(value: object, column: str, row: int) -> str:
    """Return the value of a column that the prompt shows."""
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        problem = f"row {row} of column {column} is not text"
        raise bad_data(f"{COLUMNS}.question", repr(value)[:80], problem, "give text in every row, or name its column")
    return value


def _choices(value: Any, row: int) -> tuple[str, ...]:
    choices = list(value) if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) else []
    field, shown = f"{COLUMNS}.choices", repr(value)[:80]
    if len(choices) < 2 or not all(isinstance(choice, str) and choice.strip() for choice in choices):
        problem = f"row {row} is not a list of two or more texts"
        raise bad_data(field, shown, problem, 'give a list such as ["north", "south"] in every row')
    if len(set(choices)) < len(choices):
        raise bad_data(field, shown, f"row {row} has one choice twice", "give each choice once")
    return tuple(choices)


def _answer(value: Any, choices: tuple[str, ...], row: int) -> int | str:
    field, shown = f"{COLUMNS}.answer", repr(value)[:80]
    if not choices:
        text = str(value) if isinstance(value, int | np.integer) and not isinstance(value, bool) else value
        if not isinstance(text, str) or not text.strip():
            raise bad_data(field, shown, f"row {row} is not text", "give the expected answer in every row")
        return text.strip()
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= int(value) < len(choices):
        return int(value)
    if isinstance(value, str) and value in choices:
        return choices.index(value)
    problem = f"row {row}: it is not among the choices {', '.join(choices)}"[:200]
    remedy = f"give one of the choices, or its number from 0 to {len(choices) - 1}"
    raise bad_data(field, shown, problem, remedy)
