"""From data to an evaluation set, by what the model does."""

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
from compression_runner.dataset.groups import read_groups
from compression_runner.dataset.images import prepare_images
from compression_runner.dataset.labels import class_names, class_numbers
from compression_runner.dataset.multi_label import MultiLabel, label_sets, multi_label_of
from compression_runner.dataset.pad_tokens import fills_in_front
from compression_runner.dataset.problems import COLUMNS, EVALUATION, SOURCE, bad_data
from compression_runner.dataset.rows import Rows
from compression_runner.dataset.sample_set import Sample, SampleSet
from compression_runner.dataset.splitting import MAX_ROWS, rows_wanted
from compression_runner.dataset.table import Table, array_shapes, column_names, read_table, read_whole
from compression_runner.dataset.texts import Texts, tokenize
from compression_runner.dataset.videos import prepare_videos
from compression_runner.dataset.windows import windows
from compression_runner.dataset.writing import DECODER, reference_texts, writing_of
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

    Text is cut at `sequence_length` tokens; for tasks measured on running text the rows are joined, `sequence_length`
    is the length of a window, and `data.limit` counts windows. Labels are read where the column is there; `metric` says
    whether they must be. An .npz without the column of the task's inputs holds the model's inputs by name, whatever the
    task; `inputs` are those that the model's file states, if any: an array in the shape of one that has no batch axis
    holds for all samples. With `split`, only the rows of `role` are kept. Raises InvalidInput, naming the field, for
    data that cannot be used.
    """
    # A row has one token at least: more than these are never needed to fill the windows.
    most = min(data.limit * sequence_length, MAX_ROWS) if TASKS[task].running_text else data.limit
    wanted = Wanted(data.columns, path, task, model_dir, metric, rows_wanted(split, role, most), role, inputs)
    try:
        found = _load(wanted, sequence_length, data.limit)
        if role == "evaluation" and data.columns.group is not None:
            found = replace(found, groups=read_groups(path, data.columns.group, wanted.rows))
        return replace(found, multi_label=_multi_label(found, wanted)) if TASKS[task].classifies else found
    except InvalidInput as error:
        field = error.field.replace(EVALUATION, f"spec.data.{role}", 1)
        raise InvalidInput(error.reason, field, error.value, error.problem, error.remedy) from error


@dataclass(frozen=True)
class Wanted:
    """What is read, and for which model."""

    columns: Columns
    path: Path
    task: Task
    model_dir: Path
    metric: QualityMetric | None
    rows: Rows
    role: DataRole
    inputs: Sequence[TensorInfo]

    def table(self, columns: Sequence[str], optional: Sequence[str]) -> Table:
        """The columns, of the wanted rows alone."""
        return read_table(self.path, columns, optional, self.rows)

    @property
    def answer(self) -> str:
        """The column with what the model should answer."""
        return self.columns.label if TASKS[self.task].classifies else self.columns.target


def _load(wanted: Wanted, sequence_length: int, limit: int) -> SampleSet:
    content = TASKS[wanted.task].content
    if wanted.path.is_dir():
        return _folder(wanted)
    path, digest = wanted.path, data_digest(wanted.path)
    if content == "features":
        return _arrays(wanted, digest) if _names_inputs(wanted) else _features(wanted)
    column = "" if content == "arrays" else str(getattr(wanted.columns, content))
    if not column or (path.suffix.lower() == ".npz" and column not in column_names(path)):
        return _arrays(wanted, digest)
    pair = wanted.columns.text_pair if content == "text" else None
    optional = [wanted.answer, *([wanted.columns.sampling_rate] if content == "audio" else [])]
    table = wanted.table([column, *([pair] if pair else [])], optional)
    if TASKS[wanted.task].writes:
        return _written(wanted, table, column, sequence_length, digest)
    labels = _answers(wanted, table)
    if TASKS[wanted.task].running_text:
        samples, padding = windows(table[column], wanted.model_dir, sequence_length, limit)
        return SampleSet(samples=samples, digest=digest, padding=padding)
    if content == "text":
        embedded, pairs = wanted.task == "text-embedding", table[pair] if pair else None
        samples, padding = tokenize(table[column], wanted.model_dir, sequence_length, pairs, embedded=embedded)
        rows = list(table[column]) if wanted.role == "evaluation" and not pair else None
        texts = Texts(rows, wanted.model_dir, sequence_length, embedded) if rows else None
        left = fills_in_front(wanted.model_dir)
        return SampleSet(samples, digest, labels, padding, left=left, texts=texts)
    return _signals(wanted, table, column, labels, digest)


def _written(wanted: Wanted, table: Table, column: str, sequence_length: int, digest: str) -> SampleSet:
    """Texts or recordings to which a model writes; with references, data that is learned from says what to write."""
    writing = writing_of(wanted.model_dir)
    answers = table.get(wanted.answer)
    references = None if answers is None else reference_texts(answers, wanted.answer)
    if references is None:
        _require_none_asked(wanted, "target")
    if TASKS[wanted.task].content == "text":
        samples, padding = tokenize(table[column], wanted.model_dir, sequence_length)
        data = SampleSet(samples=samples, digest=digest, padding=padding)
    else:
        data = _signals(wanted, table, column, None, digest)
    data = replace(data, references=references, writing=writing)
    if not writing.prompt:
        return data
    decoded = [np.asarray(writing.prompt, dtype=np.int64)] * len(data)
    padding = dict(data.padding)
    if references is not None and wanted.role != "evaluation":
        decoded, padding[DECODER] = writing.tokens(references), writing.prompt[0]
    both: list[Sample] = [{**sample, DECODER: tokens} for sample, tokens in zip(data.samples, decoded, strict=True)]
    return replace(data, samples=both, padding=padding, unnamed=False)


def _folder(wanted: Wanted) -> SampleSet:
    """Samples of a folder of images or recordings, whose classes are its folders."""
    content, path = TASKS[wanted.task].content, wanted.path
    if content not in get_args(Kind):
        remedy = "name one file; folders hold images or recordings"
        raise bad_data(SOURCE, path.name, f"task {wanted.task} takes no folder of samples", remedy)
    column = str(getattr(wanted.columns, content))
    table = read_folder(path, content, column, wanted.columns.label, wanted.rows)
    return _signals(wanted, table, column, _answers(wanted, table), data_digest(path))


def _signals(wanted: Wanted, table: Table, column: str, labels: NDArray[Any] | None, digest: str) -> SampleSet:
    """Images, videos or recordings: one array each, which a model with one input takes under any name."""
    content, free = TASKS[wanted.task].content, False
    if content == "audio":
        prepared = prepare_audio(table[column], table.get(wanted.columns.sampling_rate), wanted.model_dir)
        name, arrays, free = prepared.name, prepared.inputs, prepared.free
    elif content == "video":
        name, arrays = "pixel_values", prepare_videos(table[column], wanted.model_dir)
    else:
        name, arrays = "pixel_values", prepare_images(table[column], wanted.model_dir)
    return SampleSet(
        samples=[{name: array} for array in arrays],
        digest=digest,
        labels=labels,
        free=frozenset({name} if free else ()),
        unnamed=True,
    )


def _features(wanted: Wanted) -> SampleSet:
    """Rows of numbers, from the columns that the job names or all that hold numbers."""
    path, columns = wanted.path, wanted.columns
    others = (columns.label, columns.target, columns.group or "")
    names = feature_columns(path, columns.features, others)
    table = wanted.table(names, [wanted.answer])
    samples = [{"features": row} for row in feature_rows(table, names)]
    labels = _answers(wanted, table)
    return SampleSet(samples=samples, digest=data_digest(path), labels=labels, unnamed=True, features=names)


def _arrays(wanted: Wanted, digest: str) -> SampleSet:
    """The model's inputs by name; what is in the column of answers is no input, unless the task has none."""
    path = wanted.path
    if path.suffix.lower() != ".npz":
        remedy = "give an .npz file whose arrays bear the names of the model's inputs"
        raise bad_data(SOURCE, path.name, f"task {wanted.task} takes sample inputs as arrays", remedy)
    table = wanted.table([], [])
    shared = shared_arrays(array_shapes(path), wanted.inputs)
    table |= read_whole(path, sorted(shared)) if shared else {}
    column = table.pop(wanted.answer, None) if TASKS[wanted.task].labelled else None
    if wanted.columns.group:
        table.pop(wanted.columns.group, None)
    answers = {} if column is None else {wanted.answer: column}
    return SampleSet(samples=array_samples(table, path.name, shared), digest=digest, labels=_answers(wanted, answers))


def _names_inputs(wanted: Wanted) -> bool:
    """Return whether the data is an .npz that has every input of a model of several by name."""
    names = {info.name for info in wanted.inputs}
    return len(names) > 1 and wanted.path.suffix.lower() == ".npz" and names <= set(column_names(wanted.path))


def _answers(wanted: Wanted, table: Table) -> NDArray[Any] | None:
    """What the model should answer, where the data has it: numbers of classes, or the numbers of a regression."""
    traits, column = TASKS[wanted.task], table.get(wanted.answer)
    if not traits.labelled:
        return None
    field = "label" if traits.classifies else "target"
    if column is not None:
        if traits.classifies:
            names = class_names(wanted.model_dir) or class_folders(wanted.path)
            if multi_label_of(wanted.model_dir, column):
                return label_sets(column, names, wanted.model_dir)
            return class_numbers(column, names)
        return numbers(column, f"{COLUMNS}.{field}", wanted.answer).astype(np.float32)
    _require_none_asked(wanted, field)
    return None


def _multi_label(found: SampleSet, wanted: Wanted) -> MultiLabel | None:
    """Return how labels are read where a sample may have several."""
    several = found.labels is not None and found.labels.ndim == 2
    return multi_label_of(wanted.model_dir, found.labels if several else None, graph=bool(wanted.inputs))


def _require_none_asked(wanted: Wanted, field: str) -> None:
    """Refuse data without the column of answers where the job names it, or a metric that needs it."""
    needed = wanted.metric in TASKS[wanted.task].labelled
    if not needed and field not in wanted.columns.model_fields_set:
        return
    why = f"metric {wanted.metric} needs labels" if needed else "there is no such column"
    if wanted.path.is_dir():
        remedy = "put every file into the folder of its class"
    else:
        remedy = f"name the column that has the {field}s; there are: {', '.join(column_names(wanted.path))}"
    raise bad_data(f"{COLUMNS}.{field}", wanted.answer, why, remedy)


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
