"""Checks of jobs with text pairs."""

from collections.abc import Iterator
from typing import Final

from compressionjob.data import Data
from compressionjob.errors import FieldProblem
from compressionjob.objectives import Sla
from compressionjob.tasks import Task

PAIR_TASKS: Final[tuple[Task, ...]] = ("text-classification", "text-regression")


def pair_problems(sla: Sla, task: Task, data: Data) -> list[FieldProblem]:
    """Return text pairs that the task or a part of the data does not have, and limits that pairs do not support."""
    return [*_column_problems(task, data), *_limit_problems(sla, data)]


def _column_problems(task: Task, data: Data) -> Iterator[FieldProblem]:
    parts = {"evaluation": data.evaluation, "training": data.training, "calibration": data.calibration}
    named = {name: part.columns.text_pair for name, part in parts.items() if part is not None}
    for name, column in named.items():
        field = f"spec.data.{name}.columns.textPair"
        if column is not None and task not in PAIR_TASKS:
            yield FieldProblem(field, column, f"task {task} takes no second text; remove it")
        elif column is None and any(named.values()):
            remedy = "other data of the job has pairs of texts; name the column with the second text here too"
            yield FieldProblem(field, "", remedy)


def _limit_problems(sla: Sla, data: Data) -> Iterator[FieldProblem]:
    column = data.evaluation.columns.text_pair
    if column is None:
        return
    limits = {"robustness": sla.robustness, "attributions": sla.attributions}
    for name in (name for name, limit in limits.items() if limit is not None):
        yield FieldProblem(f"spec.sla.{name}", column, "it is measured on single texts, not on pairs; remove it")
