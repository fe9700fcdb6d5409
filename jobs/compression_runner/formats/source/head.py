"""The outputs of a classification head by the model's config.json: one class, several labels, or one number."""

from collections.abc import Mapping
from typing import Any, Final

from compression_runner.dataset.multi_label import MULTI_LABEL, REGRESSION, SINGLE_LABEL, label_count
from compression_runner.errors import InvalidInput
from compressionjob.tasks import TASKS, Task

FIELD: Final = "spec.model.task"
AS_ONNX: Final = "export the model to ONNX, and use task onnx"


def several_labels(config: Mapping[str, Any]) -> bool | None:
    """Return whether a sample may have several labels; None without a problem_type, when the data decides."""
    problem = config.get("problem_type")
    return problem == MULTI_LABEL if problem in (MULTI_LABEL, SINGLE_LABEL) else None


def check_head(config: Mapping[str, Any], task: Task) -> None:
    """Raise InvalidInput for a head of one number with a task of classes, and vice versa."""
    traits, count, problem = TASKS[task], label_count(config), config.get("problem_type")
    labels = f"{count} label{'s' if count != 1 else ''}"
    if traits.predicts_number and count != 1:
        numbers = problem == REGRESSION
        head = f"the model answers with {count} numbers" if numbers else f"the model has {labels}"
        remedy = AS_ONNX if numbers else "use task text-classification"
        raise InvalidInput("TaskMismatch", FIELD, task, f"{head}, and the task has one number", remedy)
    if traits.classifies and problem != MULTI_LABEL and (count == 1 or problem == REGRESSION):
        stated = f", problem_type {problem}" if problem else ""
        remedy = "use task text-regression" if count == 1 and traits.content == "text" else AS_ONNX
        mismatch = f"the model answers with numbers, not with classes (config.json has {labels}{stated})"
        raise InvalidInput("TaskMismatch", FIELD, task, mismatch, remedy)
