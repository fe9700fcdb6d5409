"""From a data file to an evaluation set, by what the model does."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.images import prepare_images
from compression_runner.dataset.labels import class_names, class_numbers
from compression_runner.dataset.problems import COLUMNS, EVALUATION, SOURCE, bad_data
from compression_runner.dataset.rows import Rows
from compression_runner.dataset.sample_set import Sample, SampleSet
from compression_runner.dataset.splitting import rows_of
from compression_runner.dataset.table import Column, Table, column_names, read_table
from compression_runner.dataset.texts import tokenize
from compression_runner.errors import InvalidInput
from compressionjob.data import CalibrationData, DataRole, DataSource, EvaluationData, Split, TrainingData
from compressionjob.objectives import QualityMetric
from compressionjob.tasks import TASKS, Task

_READ_AT_ONCE: Final = 1 << 20


def load_samples(
    data: EvaluationData | TrainingData | CalibrationData,
    path: Path,
    *,
    task: Task,
    model_dir: Path,
    sequence_length: int,
    metric: QualityMetric | None = None,
    role: DataRole = "evaluation",
    split: Split | None = None,
) -> SampleSet:
    """Read `path`, which is `data.source` on this machine, and prepare its samples with the files in `model_dir`.

    Text is cut at `sequence_length` tokens. Labels are read where the column is there; `metric` says whether they must
    be. An .npz without the text or image column holds the model's inputs by name, whatever the task. With `split`, only
    the rows of `role` are kept. Raises InvalidInput, naming the field, for data that cannot be used.
    """
    rows: Rows = rows_of(split, role, data.limit) if split else range(data.limit)
    wanted = Wanted(data, path, task, model_dir, metric, rows)
    try:
        return _load(wanted, sequence_length)
    except InvalidInput as error:
        field = error.field.replace(EVALUATION, f"spec.data.{role}", 1)
        raise InvalidInput(error.reason, field, error.value, error.problem, error.remedy) from error


@dataclass(frozen=True)
class Wanted:
    """What is read from a file, and for which model."""

    data: EvaluationData | TrainingData | CalibrationData
    path: Path
    task: Task
    model_dir: Path
    metric: QualityMetric | None
    rows: Rows

    def table(self, columns: Sequence[str], optional: Sequence[str]) -> Table:
        """The columns, of the wanted rows alone."""
        return read_table(self.path, columns, optional, self.rows)


def _load(wanted: Wanted, sequence_length: int) -> SampleSet:
    data, path, task, model_dir, metric = wanted.data, wanted.path, wanted.task, wanted.model_dir, wanted.metric
    digest = file_digest(path)
    is_text = TASKS[task].content == "text"
    content = data.columns.text if is_text else data.columns.image
    if task == "onnx" or (path.suffix.lower() == ".npz" and content not in column_names(path)):
        return _arrays(wanted, digest)
    table = wanted.table([content], [data.columns.label])
    labels = _labels(table.get(data.columns.label), data, path, task, model_dir, metric)
    if is_text:
        samples, padding = tokenize(table[content], model_dir, sequence_length)
        return SampleSet(samples=samples, digest=digest, labels=labels, padding=padding)
    images = prepare_images(table[content], model_dir)
    return SampleSet(samples=[{"pixel_values": image} for image in images], digest=digest, labels=labels)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, as "sha256:..."."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_AT_ONCE):
            digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def _arrays(wanted: Wanted, digest: str) -> SampleSet:
    """Read an .npz whose arrays bear the names of the model's inputs."""
    data, path, task, model_dir, metric = wanted.data, wanted.path, wanted.task, wanted.model_dir, wanted.metric
    if path.suffix.lower() != ".npz":
        remedy = "give an .npz file whose arrays bear the names of the model's inputs"
        raise bad_data(SOURCE, path.name, "task onnx takes sample inputs as arrays", remedy)
    table = wanted.table([], [])
    column = table.pop(data.columns.label, None) if task != "onnx" else None
    labels = _labels(column, data, path, task, model_dir, metric)
    arrays = {name: _require_array(name, values) for name, values in table.items()}
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) != 1:
        problem = f"the arrays differ in their first dimension: {counts}"
        raise bad_data(SOURCE, path.name, problem, "the first dimension counts the samples and must be the same")
    count = next(iter(counts.values()))
    samples: list[Sample] = [{name: array[row] for name, array in arrays.items()} for row in range(count)]
    return SampleSet(samples=samples, digest=digest, labels=labels)


def _require_array(name: str, values: Column) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim == 0:
        raise bad_data(SOURCE, name, "the array is a single number", "give arrays whose first dimension is the samples")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise bad_data(SOURCE, name, f"sample {row} has NaN or infinity", "give finite inputs")
    return array


def _labels(
    column: Column | None, data: DataSource, path: Path, task: Task, model_dir: Path, metric: QualityMetric | None
) -> NDArray[np.int64] | None:
    """Return the labels of a classification data set; None where there are none and none are needed."""
    if not TASKS[task].labelled:
        return None
    if column is not None:
        return class_numbers(column, class_names(model_dir))
    asked = "label" in data.columns.model_fields_set
    needed = metric in TASKS[task].labelled
    if asked or needed:
        why = f"metric {metric} needs labels" if needed else "there is no such column"
        there = ", ".join(column_names(path))
        remedy = f"name the column that has the labels; there are: {there}"
        raise bad_data(f"{COLUMNS}.label", data.columns.label, why, remedy)
    return None
