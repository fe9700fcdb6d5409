"""Columns that the data lacks are named by plan, from headers alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from compression_runner.dataset.files import find_data
from compression_runner.dataset.loading import load_samples
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.formats.headers.ranges import RangeReader
from compression_runner.pipeline.data_columns import check_columns, column_names
from compressionjob.data import EvaluationData
from compressionjob.spec import CompressionJobSpec
from tests.support import tiny_models
from tests.support.plans import open_store

ROWS: Mapping[str, Sequence[Any]] = {"text": ["a", "b"], "label": [0, 1]}


def write(place: Path, columns: Mapping[str, Sequence[Any]] = ROWS) -> Path:
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    match place.suffix:
        case ".parquet":
            pyarrow.parquet.write_table(pyarrow.table(dict(columns)), place)
        case ".jsonl":
            place.write_text("\n\n" + "\n".join(map(json.dumps, rows)))
        case ".csv":
            place.write_text(
                "\ufeff" + "\n".join(";".join(map(str, row)) for row in [columns, *(row.values() for row in rows)])
            )
        case _:
            np.savez(place, **{name: np.asarray(values) for name, values in columns.items()})
    return place


def plan(place: Path, **changes: Any) -> None:
    """Look at the columns of a job whose data of all roles is `place`."""
    source = {"source": f"file://{place}"}
    spec = CompressionJobSpec.model_validate(
        {
            "model": {"source": "file:///model", "task": changes.pop("task", "text-classification")},
            "data": {
                "evaluation": source | changes.pop("evaluation", {}),
                "training": {"source": f"{source['source']}x"},
            },
            "pipeline": changes.pop("pipeline", [{"quantize": {}}]),
            "output": {"destination": "file:///out"},
            **changes,
        }
    )
    store = open_store(place)
    files = find_data(store, spec.model.task, "spec.data.evaluation.source")
    check_columns(spec, {"evaluation": files, "training": files}, {"evaluation": store, "training": store})


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv", ".npz"])
def test_columns_are_read_from_the_header_of_every_type_of_file(suffix: str, tmp_path: Path) -> None:
    store = open_store(write(tmp_path / f"data{suffix}"))
    assert column_names(RangeReader(store, store.list()[0])) == ["text", "label"]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".csv"])
def test_a_column_that_is_not_there_is_refused_with_those_that_are(suffix: str, tmp_path: Path) -> None:
    place = write(tmp_path / f"data{suffix}")
    plan(place)
    with pytest.raises(InvalidInput, match="there is no such column; the columns are: text, label") as refusal:
        plan(place, evaluation={"columns": {"text": "sentense"}})
    assert (refusal.value.field, refusal.value.value) == ("spec.data.evaluation.columns", "sentense")


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"evaluation": {"columns": {"label": "class"}}}, "spec.data.evaluation.columns.label", "class"),
        ({"evaluation": {"columns": {"group": "language"}}}, "spec.data.evaluation.columns.group", "language"),
        (
            {"task": "tabular-classification", "evaluation": {"columns": {"features": ["age"]}}},
            "spec.data.evaluation.columns",
            "age",
        ),
    ],
)
def test_every_column_that_the_job_names_is_looked_for(
    changes: dict[str, Any], field: str, value: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        plan(write(tmp_path / "data.parquet"), **changes)
    assert (refusal.value.field, refusal.value.value) == (field, value)


@pytest.mark.parametrize(
    ("columns", "sla"),
    [
        ({"text": "sentense"}, {}),
        ({"group": "language"}, {}),
        ({"label": "class"}, {}),
        ({}, {"quality": {"metric": "accuracy", "maxDrop": "0.1"}}),
    ],
)
def test_plan_and_the_reader_of_the_data_have_one_message(
    columns: dict[str, str], sla: dict[str, Any], tmp_path: Path
) -> None:
    place = write(tmp_path / "data.parquet", ROWS if columns else {"text": ["a", "b"]})
    model = tiny_models.bert(tmp_path / "model", labels=3)
    with pytest.raises(InvalidInput) as planned:
        plan(place, evaluation={"columns": columns}, sla=sla)
    data = EvaluationData.model_validate({"source": f"file://{place}", "columns": columns})
    metric = "accuracy" if sla else None
    with pytest.raises(InvalidInput) as read:
        load_samples(data, place, task="text-classification", model_dir=model, sequence_length=16, metric=metric)
    assert str(read.value) == str(planned.value)


def test_a_metric_of_labels_needs_them(tmp_path: Path) -> None:
    place = write(tmp_path / "data.parquet", {"text": ["a"]})
    with pytest.raises(InvalidInput, match="metric accuracy needs labels") as refusal:
        plan(place, sla={"quality": {"metric": "accuracy", "maxDrop": "0.1"}})
    assert refusal.value.field == "spec.data.evaluation.columns.label"


@pytest.mark.parametrize(
    ("stage", "field"),
    [
        ({"recover": {"method": "labels"}}, "spec.pipeline[0].recover.method"),
        ({"distill": {"losses": {"labels": "0.5"}}}, "spec.pipeline[0].distill.losses.labels"),
    ],
)
def test_a_stage_that_learns_from_labels_needs_them(stage: dict[str, Any], field: str, tmp_path: Path) -> None:
    plan(write(tmp_path / "data.parquet"), pipeline=[stage])
    with pytest.raises(BadRecipe, match="the training data has no labels") as refusal:
        plan(write(tmp_path / "other.parquet", {"text": ["a"]}), pipeline=[stage])
    assert refusal.value.field == field


@pytest.mark.parametrize("task", ["text-embedding", "summarization"])
@pytest.mark.parametrize("stage", [{"recover": {"method": "labels"}}, {"distill": {"losses": {"labels": "0.5"}}}])
def test_a_task_whose_samples_have_no_labels_is_refused(stage: dict[str, Any], task: str, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=f"samples of {task} have no labels"):
        plan(write(tmp_path / "data.parquet"), task=task, pipeline=[stage])


def test_what_has_no_header_is_left_to_the_reader_of_the_data(tmp_path: Path) -> None:
    for name, content in (
        ("a.parquet", b"PAR1 broken"),
        ("b.jsonl", b"[1, 2]"),
        ("c.csv", b"\xff\xfe\x00"),
        ("d.npz", b"x"),
    ):
        (tmp_path / name).write_bytes(content)
        store = open_store(tmp_path / name)
        assert column_names(RangeReader(store, store.list()[0])) is None
        plan(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"text,label\ra,0\rb,1\r", ["text", "label"]),
        (b"id;the text, as it came;text;label\n", ["id", "the text, as it came", "text", "label"]),
        (b'"first\nname",text,label\n', None),
        ("text,label\n".encode("utf-16-le"), None),
    ],
)
def test_a_csv_header_is_read_as_the_reader_of_the_data_does(
    content: bytes, names: list[str] | None, tmp_path: Path
) -> None:
    (tmp_path / "data.csv").write_bytes(content)
    store = open_store(tmp_path / "data.csv")
    assert column_names(RangeReader(store, store.list()[0]), ["text", "label"]) == names
    plan(tmp_path / "data.csv")
