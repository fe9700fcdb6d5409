"""Load evaluation, training or calibration data as samples for the task of the model."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from compression_runner.artifact import sha256_of
from compression_runner.dataset.arrays import array_samples, shared_arrays
from compression_runner.dataset.audio import prepare_audio
from compression_runner.dataset.features import feature_columns, feature_rows, numbers
from compression_runner.dataset.folders import Kind, class_folders, read_folder
from compression_runner.dataset.generation import DECODER, reference_texts, text_generation
from compression_runner.dataset.groups import read_groups
from compression_runner.dataset.images import prepare_images
from compression_runner.dataset.labels import class_names, class_numbers
from compression_runner.dataset.multi_label import MultiLabel, label_sets, multi_label_of
from compression_runner.dataset.pad_tokens import pads_left
from compression_runner.dataset.problems import COLUMNS, EVALUATION, SOURCE, bad_data, missing_answers
from compression_runner.dataset.rows import Rows
from compression_runner.dataset.sample_set import Sample, SampleSet
from compression_runner.dataset.splitting import MAX_ROWS, rows_wanted
from compression_runner.dataset.table import Table, array_shapes, column_names, read_table, read_whole
from compression_runner.dataset.texts import Texts, tokenize
from compression_runner.dataset.videos import prepare_videos
from compression_runner.dataset.windows import windows
from compression_runner.errors import InvalidInput
from compression_runner.inference.predictor import TensorInfo
from compressionjob.data import CalibrationData, Columns, DataRole, EvaluationData, Split, TrainingData
from compressionjob.objectives import QualityMetric
from compressionjob.tasks import TASKS, Task


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
    inputs: Sequence[TensorInfo] = (),
) -> SampleSet:
    """Read `path`, which is `data.source` on this machine, and prepare its samples with the files in `model_dir`.

    Text is cut at `sequence_length` tokens. For tasks on running text, rows are joined, `sequence_length` is the length
    of a window, and `data.limit` counts windows. Labels are read if their column exists; some values of `metric`
    require them. An .npz without the input column of the task holds the inputs of the model by name, for any task.
    `inputs` are those stated in the model's file, if any: an array in the shape of an input without a batch axis holds
    for all samples. `split` keeps only the rows of `role`. Raises InvalidInput, with the field, for unsuitable data.
    """
    # A row has at least one token, so more rows are never needed to fill the windows.
    most = min(data.limit * sequence_length, MAX_ROWS) if TASKS[task].running_text else data.limit
    request = DataRequest(data.columns, path, task, model_dir, metric, rows_wanted(split, role, most), role, inputs)
    try:
        samples = _load(request, sequence_length, data.limit)
        if role == "evaluation" and data.columns.group is not None:
            samples = replace(samples, groups=read_groups(path, data.columns.group, request.rows))
        return replace(samples, multi_label=_multi_label(samples, request)) if TASKS[task].classifies else samples
    except InvalidInput as error:
        field = error.field.replace(EVALUATION, f"spec.data.{role}", 1)
        raise InvalidInput(error.reason, field, error.value, error.problem, error.remedy) from error


@dataclass(frozen=True)
class DataRequest:
    """The data to read, and the model to prepare it for."""

    columns: Columns
    path: Path
    task: Task
    model_dir: Path
    metric: QualityMetric | None
    rows: Rows
    role: DataRole
    inputs: Sequence[TensorInfo]

    def table(self, columns: Sequence[str], optional: Sequence[str]) -> Table:
        """Read these columns, for the requested rows only."""
        return read_table(self.path, columns, optional, self.rows)

    @property
    def answer(self) -> str:
        """The column of the reference answers."""
        return self.columns.label if TASKS[self.task].classifies else self.columns.target


def _load(request: DataRequest, sequence_length: int, limit: int) -> SampleSet:
    content = TASKS[request.task].content
    if request.path.is_dir():
        return _folder(request)
    path, digest = request.path, data_digest(request.path)
    if content == "features":
        return _arrays(request, digest) if _names_inputs(request) else _features(request)
    column = "" if content == "arrays" else str(getattr(request.columns, content))
    if not column or (path.suffix.lower() == ".npz" and column not in column_names(path)):
        return _arrays(request, digest)
    pair = request.columns.text_pair if content == "text" else None
    optional = [request.answer, *([request.columns.sampling_rate] if content == "audio" else [])]
    table = request.table([column, *([pair] if pair else [])], optional)
    if TASKS[request.task].writes:
        return _generated(request, table, column, sequence_length, digest)
    labels = _answers(request, table)
    if TASKS[request.task].running_text:
        samples, padding = windows(table[column], request.model_dir, sequence_length, limit)
        return SampleSet(samples=samples, digest=digest, padding=padding)
    if content == "text":
        embedded, pairs = request.task == "text-embedding", table[pair] if pair else None
        samples, padding = tokenize(table[column], request.model_dir, sequence_length, pairs, embedded=embedded)
        rows = list(table[column]) if request.role == "evaluation" and not pair else None
        texts = Texts(rows, request.model_dir, sequence_length, embedded) if rows else None
        left = pads_left(request.model_dir)
        return SampleSet(samples, digest, labels, padding, left=left, texts=texts)
    return _signals(request, table, column, labels, digest)


def _generated(request: DataRequest, table: Table, column: str, sequence_length: int, digest: str) -> SampleSet:
    """Return inputs of a model that generates text; training data includes the reference texts as decoder inputs."""
    generation = text_generation(request.model_dir)
    answers = table.get(request.answer)
    references = None if answers is None else reference_texts(answers, request.answer)
    if references is None:
        _require_answers_optional(request, "target")
    if TASKS[request.task].content == "text":
        samples, padding = tokenize(table[column], request.model_dir, sequence_length)
        data = SampleSet(samples=samples, digest=digest, padding=padding)
    else:
        data = _signals(request, table, column, None, digest)
    data = replace(data, references=references, generation=generation)
    if not generation.prompt:
        return data
    decoded = [np.asarray(generation.prompt, dtype=np.int64)] * len(data)
    padding = dict(data.padding)
    if references is not None and request.role != "evaluation":
        decoded, padding[DECODER] = generation.tokens(references), generation.prompt[0]
    both: list[Sample] = [{**sample, DECODER: tokens} for sample, tokens in zip(data.samples, decoded, strict=True)]
    return replace(data, samples=both, padding=padding, unnamed=False)


def _folder(request: DataRequest) -> SampleSet:
    """Return samples of a folder of images or recordings, with one class per folder."""
    content, path = TASKS[request.task].content, request.path
    if content not in get_args(Kind):
        remedy = "name one file; folders hold images or recordings"
        raise bad_data(SOURCE, path.name, f"task {request.task} takes no folder of samples", remedy)
    column = str(getattr(request.columns, content))
    table = read_folder(path, content, column, request.columns.label, request.rows)
    return _signals(request, table, column, _answers(request, table), data_digest(path))


def _signals(request: DataRequest, table: Table, column: str, labels: NDArray[Any] | None, digest: str) -> SampleSet:
    """Return images, videos or recordings: one array each, which a model with one input takes under any name."""
    content, free = TASKS[request.task].content, False
    if content == "audio":
        prepared = prepare_audio(table[column], table.get(request.columns.sampling_rate), request.model_dir)
        name, arrays, free = prepared.name, prepared.inputs, prepared.free
    elif content == "video":
        name, arrays = "pixel_values", prepare_videos(table[column], request.model_dir)
    else:
        name, arrays = "pixel_values", prepare_images(table[column], request.model_dir)
    return SampleSet(
        samples=[{name: array} for array in arrays],
        digest=digest,
        labels=labels,
        free=frozenset({name} if free else ()),
        unnamed=True,
    )


def _features(request: DataRequest) -> SampleSet:
    """Return rows of numbers, from the columns in the job or from all columns of numbers."""
    path, columns = request.path, request.columns
    others = (columns.label, columns.target, columns.group or "")
    names = feature_columns(path, columns.features, others)
    table = request.table(names, [request.answer])
    samples = [{"features": row} for row in feature_rows(table, names)]
    labels = _answers(request, table)
    return SampleSet(samples=samples, digest=data_digest(path), labels=labels, unnamed=True, features=names)


def _arrays(request: DataRequest, digest: str) -> SampleSet:
    """Return the inputs of the model by name; the column of answers is an input only if the task has no answers."""
    path = request.path
    if path.suffix.lower() != ".npz":
        remedy = "give an .npz file whose arrays have the names of the model's inputs"
        raise bad_data(SOURCE, path.name, f"task {request.task} takes sample inputs as arrays", remedy)
    table = request.table([], [])
    shared = shared_arrays(array_shapes(path), request.inputs)
    table |= read_whole(path, sorted(shared)) if shared else {}
    column = table.pop(request.answer, None) if TASKS[request.task].labelled else None
    if request.columns.group:
        table.pop(request.columns.group, None)
    answers = {} if column is None else {request.answer: column}
    return SampleSet(samples=array_samples(table, path.name, shared), digest=digest, labels=_answers(request, answers))


def _names_inputs(request: DataRequest) -> bool:
    """Return whether the data is an .npz with all inputs, by name, of a model with several inputs."""
    names = {info.name for info in request.inputs}
    return len(names) > 1 and request.path.suffix.lower() == ".npz" and names <= set(column_names(request.path))


def _answers(request: DataRequest, table: Table) -> NDArray[Any] | None:
    """Return the reference answers, if the data has them: class numbers, or the targets of a regression."""
    traits, column = TASKS[request.task], table.get(request.answer)
    if not traits.labelled:
        return None
    field = "label" if traits.classifies else "target"
    if column is not None:
        if traits.classifies:
            names = class_names(request.model_dir) or class_folders(request.path)
            if multi_label_of(request.model_dir, column):
                return label_sets(column, names, request.model_dir)
            return class_numbers(column, names)
        return numbers(column, f"{COLUMNS}.{field}", request.answer).astype(np.float32)
    _require_answers_optional(request, field)
    return None


def _multi_label(samples: SampleSet, request: DataRequest) -> MultiLabel | None:
    """Return how labels are read if a sample may have several."""
    several = samples.labels is not None and samples.labels.ndim == 2
    return multi_label_of(request.model_dir, samples.labels if several else None, graph=bool(request.inputs))


def _require_answers_optional(request: DataRequest, field: str) -> None:
    """Raise InvalidInput if the job names the missing column of answers, or a metric needs it."""
    needed = request.metric in TASKS[request.task].labelled
    if not needed and field not in request.columns.model_fields_set:
        return
    metric = request.metric if needed else None
    if not request.path.is_dir():
        raise missing_answers(field, request.answer, column_names(request.path), metric)
    reason = f"metric {metric} needs labels" if metric else "there is no such column"
    raise bad_data(f"{COLUMNS}.{field}", request.answer, reason, "put every file into the folder of its class")


def data_digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and contents of all files of a folder, as "sha256:..."."""
    if path.is_file():
        return file_digest(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    lines = [f"{file.relative_to(path).as_posix()} {file_digest(file)}" for file in files]
    return f"sha256:{hashlib.sha256(chr(10).join(lines).encode()).hexdigest()}"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, as "sha256:..."."""
    return f"sha256:{sha256_of(path)}"
