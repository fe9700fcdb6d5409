"""The shipped tabular networks reach their stated quality on test rows."""

from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import f1_score, mean_absolute_error

from samples import tabular

NAMES = ("breast-cancer", "diabetes")


def _predicted(name: str, features: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(tabular.SHIPPED / f"{name}.onnx")
    return np.asarray(session.run(None, {"features": features.astype(np.float32)})[0])


def test_the_classifier_is_accurate() -> None:
    _, test = tabular.split("breast-cancer")
    logits = _predicted("breast-cancer", test.features)
    assert logits.shape == (142, 2)
    assert f1_score(test.answers, logits.argmax(1)) >= 0.97


def test_the_regression_is_about_as_good_as_a_linear_one() -> None:
    train, test = tabular.split("diabetes")
    predicted = _predicted("diabetes", test.features)
    assert predicted.shape == (110, 1)
    linear = LinearRegression().fit(train.features, train.answers).predict(test.features)
    assert mean_absolute_error(test.answers, predicted[:, 0]) <= 1.02 * mean_absolute_error(test.answers, linear)


@pytest.mark.parametrize("name", NAMES)
def test_training_and_test_rows_are_disjoint(name: str) -> None:
    train, test = tabular.split(name)
    assert {tuple(row) for row in train.features}.isdisjoint(tuple(row) for row in test.features)


def test_files_have_a_column_for_each_feature_and_the_answer(tmp_path: Path) -> None:
    tabular.breast_cancer(tmp_path / "cancer")
    tabular.diabetes(tmp_path / "diabetes")
    cancer = pq.read_table(tmp_path / "cancer" / "test.parquet")
    assert cancer.num_columns == 31
    assert set(cancer["label"].to_pylist()) == {0, 1}
    assert pq.read_table(tmp_path / "diabetes" / "train.parquet").column_names[-2:] == ["s6", "target"]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_graph_contains_no_paths_of_its_machine(name: str) -> None:
    content = (tabular.SHIPPED / f"{name}.onnx").read_bytes()
    assert b"site-packages" not in content
    assert b".py" not in content
