"""The files of a job's tasks: checked by their headers before anything runs, and read before any stage runs."""

from collections.abc import Sequence
from pathlib import Path

from compression_runner.dataset.files import DataFiles, find_data
from compression_runner.dataset.problems import missing_column
from compression_runner.dataset.task_documents import read_task
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.recovery.recovery import RecoveryTasks
from compression_runner.formats.headers.ranges import RangeReader
from compression_runner.pipeline.data_columns import column_names
from compression_runner.pipeline.fetching import fetch_data
from compression_runner.storage import Readable
from compressionjob.conditions import INVALID_INPUT
from compressionjob.spec import CompressionJobSpec
from compressionjob.task_data import EvaluationTask


def find_tasks(spec: CompressionJobSpec, stores: Sequence[Readable]) -> tuple[DataFiles, ...]:
    """Return the file of each task. Raises InvalidInput for a missing file, and for columns that it lacks."""
    tasks = []
    for index, (task, store) in enumerate(zip(spec.data.tasks, stores, strict=True)):
        field = f"spec.data.tasks[{index}]"
        files = find_data(store, spec.model.task, f"{field}.source")
        _require_kind(task, files, f"{field}.source")
        needed = task.columns_needed()
        names = column_names(RangeReader(store, files.entries[0]), needed)
        for column in needed if names is not None else ():
            if column not in (names or ()):
                raise missing_column(_field_of(task, column, field), column, names or ())
        tasks.append(files)
    return tuple(tasks)


def read_tasks(
    spec: CompressionJobSpec,
    stores: Sequence[Readable],
    files: Sequence[DataFiles],
    scratch: Path,
    model_dir: Path,
) -> RecoveryTasks | None:
    """Fetch and read the tasks of a job; None without tasks.

    Raises InvalidInput for rows that are not questions of their kind, and for questions that the model cannot take.
    """
    if not spec.data.tasks:
        return None
    tasks = []
    for index, (task, store, one) in enumerate(zip(spec.data.tasks, stores, files, strict=True)):
        path = fetch_data(store, one, range(task.few_shot + task.limit), scratch / "data" / f"task-{index}")
        tasks.append(read_task(task, path, f"spec.data.tasks[{index}]"))
    request = RecoveryTasks(tuple(tasks), model_dir)
    request.require_length()
    return request


def _field_of(task: EvaluationTask, column: str, field: str) -> str:
    """Return the field that names a column."""
    fields = {value: name for name, value in task.columns.to_json().items()}
    return f"{field}.columns.{fields[column]}" if column in fields else f"{field}.prompt"


def _require_kind(task: EvaluationTask, files: DataFiles, field: str) -> None:
    suffixes = [".jsonl", ".parquet", *([".csv"] if task.kind == "generation" else [])]
    path = files.entries[0].path
    if files.classes is not None or not path.lower().endswith(tuple(suffixes)):
        problem = f"a task of kind {task.kind} is not read from such a file"
        raise InvalidInput(INVALID_INPUT, field, path, problem, f"give one file that ends in {', '.join(suffixes)}")
