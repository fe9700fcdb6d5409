"""Check from headers alone that the data of a job has the columns that the job names, before any download."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pyarrow
import pyarrow.parquet

from compression_runner.dataset.files import DataFiles
from compression_runner.dataset.problems import COLUMNS, EVALUATION, missing_answers, missing_column, missing_group
from compression_runner.dataset.text_files import csv_header, json_rows
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.formats.headers.ranges import RangeReader, RemoteFile
from compression_runner.pipeline.array_names import array_names
from compression_runner.storage import Readable
from compressionjob.data import Columns, DataRole
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS

HEADER_BYTES: Final = 16 << 20
"""Largest first line of a text file that is read here; a longer line is checked later, by the reader."""


def check_columns(
    spec: CompressionJobSpec, data: Mapping[DataRole, DataFiles], stores: Mapping[DataRole, Readable]
) -> None:
    """Raise InvalidInput for a column that the job needs and a file lacks, BadRecipe for labels to learn from.

    Folders have no columns. What cannot be read as a header is left to the reader of the data, which says more.
    """
    _require_labels_of_task(spec)
    for role, files in data.items():
        part = spec.data.source_for(role)
        if part is None or files.classes is not None:
            continue
        is_arrays = files.entries[0].path.lower().endswith(".npz")
        needed = list(_needed(spec, part.columns, role, is_arrays=is_arrays))
        wanted = [*needed, getattr(part.columns, _answer_field(spec)), *_groups(part.columns, role)]
        names = column_names(RangeReader(stores[role], files.entries[0]), wanted)
        if names is not None:
            _require(spec, role, part.columns, needed, names)


def column_names(reader: RangeReader, wanted: Sequence[str] = ()) -> list[str] | None:
    """Return the names of a file's columns, for jsonl from its first row; None without a header.

    As for the reader of the data, the `wanted` names decide which character separates the columns of a CSV file.
    """
    path = reader.entry.path.lower()
    if path.endswith(".npz"):
        return array_names(reader)
    if path.endswith(".parquet"):
        try:
            return list(pyarrow.parquet.read_schema(pyarrow.PythonFile(RemoteFile(reader), mode="r")).names)
        except (pyarrow.ArrowException, OSError):
            return None
    line = _first_line(reader)
    if line is None:
        return None
    try:
        if path.endswith(".csv"):
            return csv_header(io.StringIO(line, newline=""), wanted)[0]
        return list(next(json_rows([line], reader.entry.path), {}))
    except (csv.Error, InvalidInput):
        return None


def _first_line(reader: RangeReader) -> str | None:
    content = b""
    while not content.strip() or b"\n" not in content.lstrip():
        block = reader.read(len(content), 64 << 10)
        content += block
        if not block:
            break
        if len(content) > HEADER_BYTES:
            return None
    try:
        line = content.strip().split(b"\n")[0].decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    # Zeros show UTF-16. An odd number of quotes shows a name with a line break: the first line is not the whole header.
    return None if "\0" in line or line.count('"') % 2 else line


def _answer_field(spec: CompressionJobSpec) -> str:
    """Return the field of `columns` that names the column with labels or targets."""
    return "label" if TASKS[spec.model.task].classifies else "target"


def _require(
    spec: CompressionJobSpec, role: DataRole, columns: Columns, needed: Sequence[str], names: Sequence[str]
) -> None:
    for column in needed:
        if column not in names:
            raise _of_role(missing_column(COLUMNS, column, names), role)
    for column in _groups(columns, role):
        if column not in names:
            raise missing_group(column, names)
    traits, field = TASKS[spec.model.task], _answer_field(spec)
    answer = str(getattr(columns, field))
    if not traits.labelled or answer in names:
        return
    metric = spec.labelled_metric if role == "evaluation" else None
    needs_answers = metric if metric in traits.labelled else None
    if needs_answers or field in columns.model_fields_set:
        raise _of_role(missing_answers(field, answer, names, needs_answers), role)
    if role == "training":
        instead = f"name their column in spec.data.training.columns.{field}, or "
        _refuse_labels(spec, "the training data has no labels", instead)


def _needed(spec: CompressionJobSpec, columns: Columns, role: DataRole, *, is_arrays: bool) -> Iterator[str]:
    """Yield the required columns; an .npz may have the inputs of the model instead."""
    content = TASKS[spec.model.task].content
    if content == "features":
        yield from columns.features if not is_arrays else ()
    elif content != "arrays" and not is_arrays:
        yield str(getattr(columns, content))
    if content == "text" and columns.text_pair and not is_arrays:
        yield columns.text_pair


def _groups(columns: Columns, role: DataRole) -> list[str]:
    """Return the column of the groups, if the job names one."""
    return [columns.group] if role == "evaluation" and columns.group is not None else []


def _of_role(error: InvalidInput, role: DataRole) -> InvalidInput:
    """Return the error with the field of a role's data."""
    field = error.field.replace(EVALUATION, f"spec.data.{role}", 1)
    return InvalidInput(error.reason, field, error.value, error.problem, error.remedy)


def _require_labels_of_task(spec: CompressionJobSpec) -> None:
    """Refuse stages that train on labels if samples of the task have neither classes nor numbers."""
    traits = TASKS[spec.model.task]
    if not (traits.classifies or traits.predicts_number or traits.running_text):
        _refuse_labels(spec, f"samples of {spec.model.task} have no labels")


def _refuse_labels(spec: CompressionJobSpec, problem: str, instead: str = "") -> None:
    """Raise BadRecipe for the first stage that trains on labels."""
    for index, stage in enumerate(spec.pipeline):
        need = stage.parameters.labels_needed()
        if need is not None:
            field = f"spec.pipeline[{index}].{stage.method}.{need.field}"
            raise BadRecipe("NoLabels", field, need.value, problem, instead + need.remedy)
