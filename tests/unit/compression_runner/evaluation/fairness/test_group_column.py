"""The group column: read from real files, and refused if it has unsuitable values."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from compression_runner.dataset import SampleSet, load_samples
from compression_runner.errors import InvalidInput
from compressionjob.data import EvaluationData, TrainingData
from compressionjob.tasks import Task


def load(path: Path, task: Task = "tabular-classification", kind: Any = EvaluationData, **columns: Any) -> SampleSet:
    part = kind.model_validate({"source": f"file://{path}", "columns": columns, "limit": 5})
    role = "evaluation" if kind is EvaluationData else "training"
    return load_samples(part, path, task=task, model_dir=path.parent, sequence_length=8, role=role)  # type: ignore[arg-type]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    columns = {
        "age": [30, 40, 50, 60, 70, 80],
        "dose": [0.5, 1.0, 1.5, 2.0, 2.5, 3.0],
        "ward": ["north", "south", None, " north", "", "east"],
        "sex": [1, 2, 1, 2, 1, 2],
        "same": ["x"] * 6,
        "label": [0, 1, 0, 1, 0, 1],
    }
    pq.write_table(pa.table(columns), tmp_path / "d.parquet")
    return tmp_path / "d.parquet"


def test_names_and_missing_values_are_groups(table: Path) -> None:
    data = load(table, group="ward")
    assert data.groups == ("north", "south", "(missing)", "north", "(missing)")
    assert list(data.features) == ["age", "dose", "sex"]
    assert data.only([1, 0]).groups == ["south", "north"]


def test_numeric_groups_are_not_features_unless_named(table: Path) -> None:
    data = load(table, group="sex")
    assert data.groups == ("1", "2", "1", "2", "1")
    assert list(data.features) == ["age", "dose"]
    named = load(table, group="sex", features=["age", "sex"])
    assert named.samples[1]["features"].tolist() == [40.0, 2.0]


def test_only_evaluation_data_has_groups(table: Path) -> None:
    data = load(table, kind=TrainingData, group="sex")
    assert data.groups is None
    assert list(data.features) == ["age", "dose"]


def test_an_array_of_groups_is_not_a_model_input(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "d.npz", x=np.zeros((4, 3), np.float32), label=np.zeros(4, np.int64), kind=np.array([1, 1, 2, 2])
    )
    data = load(tmp_path / "d.npz", "image-classification", group="kind")
    assert set(data.samples[0]) == {"x"}
    assert data.groups == ("1", "1", "2", "2")


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ("city", r"columns\.group: 'city': there is no such column.*age, dose, ward"),
        ("same", "every row has the value x"),
    ],
)
def test_a_column_with_one_group_is_refused(table: Path, column: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        load(table, group=column)


def test_a_continuous_column_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"age": list(range(90)), "dose": [1.0] * 90, "label": [0] * 90}), tmp_path / "d.parquet")
    part = EvaluationData.model_validate({"source": "file:///d.parquet", "columns": {"group": "age"}})
    with pytest.raises(InvalidInput, match="90 different values; at most 50"):
        load_samples(part, tmp_path / "d.parquet", task="tabular-classification", model_dir=tmp_path, sequence_length=8)


def test_a_folder_has_no_columns(tmp_path: Path) -> None:
    (tmp_path / "images" / "cat").mkdir(parents=True)
    Image.new("L", (16, 16)).save(tmp_path / "images" / "cat" / "1.png")
    part = EvaluationData.model_validate({"source": "file:///images", "columns": {"group": "breed"}})
    with pytest.raises(InvalidInput, match="a folder of samples has no columns"):
        load_samples(
            part, tmp_path / "images", task="image-classification", model_dir=tmp_path / "images", sequence_length=8
        )
