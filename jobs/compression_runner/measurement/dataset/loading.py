"""From a data file to an evaluation set, by what the model does."""

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.measurement.dataset.evaluation_set import EvaluationSet, Sample
from compression_runner.measurement.dataset.images import prepare_images
from compression_runner.measurement.dataset.labels import class_names, class_numbers
from compression_runner.measurement.dataset.problems import COLUMNS, SOURCE, bad_data
from compression_runner.measurement.dataset.table import Column, column_names, read_table
from compression_runner.measurement.dataset.texts import tokenize
from compressionjob.objectives import AGREEMENT_METRICS, QualityMetric
from compressionjob.spec import EvaluationData, Task

_TEXT_TASKS: Final = ("text-embedding", "text-classification")
_READ_AT_ONCE: Final = 1 << 20


def load_evaluation(
    data: EvaluationData,
    path: Path,
    *,
    task: Task,
    model_dir: Path,
    sequence_length: int,
    metric: QualityMetric | None = None,
) -> EvaluationSet:
    """Read `path`, which is `data.source` on this machine, and prepare its samples with the files in `model_dir`.

    Text is cut at `sequence_length` tokens. Labels are read where the column is there; `metric` says whether they must
    be. An .npz without the text or image column holds the model's inputs by name, whatever the task.
    Raises InvalidInput, naming the field, for data that cannot be used.
    """
    digest = file_digest(path)
    content = data.columns.text if task in _TEXT_TASKS else data.columns.image
    if task == "onnx" or (path.suffix.lower() == ".npz" and content not in column_names(path)):
        return _arrays(data, path, task, digest, model_dir, metric)
    table = read_table(path, [content], [data.columns.label], data.limit)
    labels = _labels(table.get(data.columns.label), data, path, task, model_dir, metric)
    if task in _TEXT_TASKS:
        samples, padding = tokenize(table[content], model_dir, sequence_length)
        return EvaluationSet(samples=samples, digest=digest, labels=labels, padding=padding)
    images = prepare_images(table[content], model_dir)
    return EvaluationSet(samples=[{"pixel_values": image} for image in images], digest=digest, labels=labels)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, as "sha256:..."."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_AT_ONCE):
            digest.update(block)
    return f"sha256:{digest.hexdigest()}"


def _arrays(
    data: EvaluationData, path: Path, task: Task, digest: str, model_dir: Path, metric: QualityMetric | None
) -> EvaluationSet:
    """Read an .npz whose arrays bear the names of the model's inputs."""
    if path.suffix.lower() != ".npz":
        remedy = "give an .npz file whose arrays bear the names of the model's inputs"
        raise bad_data(SOURCE, path.name, "task onnx takes sample inputs as arrays", remedy)
    table = read_table(path, [], [], data.limit)
    column = table.pop(data.columns.label, None) if task != "onnx" else None
    labels = _labels(column, data, path, task, model_dir, metric)
    arrays = {name: _require_array(name, values) for name, values in table.items()}
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) != 1:
        problem = f"the arrays differ in their first dimension: {counts}"
        raise bad_data(SOURCE, path.name, problem, "the first dimension counts the samples and must be the same")
    count = next(iter(counts.values()))
    samples: list[Sample] = [{name: array[row] for name, array in arrays.items()} for row in range(count)]
    return EvaluationSet(samples=samples, digest=digest, labels=labels)


def _require_array(name: str, values: Column) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim == 0:
        raise bad_data(SOURCE, name, "the array is a single number", "give arrays whose first dimension is the samples")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise bad_data(SOURCE, name, f"sample {row} has NaN or infinity", "give finite inputs")
    return array


def _labels(
    column: Column | None, data: EvaluationData, path: Path, task: Task, model_dir: Path, metric: QualityMetric | None
) -> NDArray[np.int64] | None:
    """Return the labels of a classification data set; None where there are none and none are needed."""
    if task not in ("text-classification", "image-classification"):
        return None
    if column is not None:
        return class_numbers(column, class_names(model_dir))
    asked = "label" in data.columns.model_fields_set
    if asked or (metric is not None and metric not in AGREEMENT_METRICS):
        why = (
            f"metric {metric} needs labels" if metric and metric not in AGREEMENT_METRICS else "there is no such column"
        )
        there = ", ".join(column_names(path))
        remedy = f"name the column that has the labels; there are: {there}"
        raise bad_data(f"{COLUMNS}.label", data.columns.label, why, remedy)
    return None
