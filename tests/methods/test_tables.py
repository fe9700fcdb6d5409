"""Quantize the models of real tables to INT8 from the command line and compare scores with scikit-learn's."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, mean_squared_error

from samples.tabular import breast_cancer, diabetes
from tests.methods.jobs import finish
from tests.support.cpu import least_cosine

pytestmark = pytest.mark.real_data


def job(folder: Path, task: str, columns: dict[str, Any], quality: dict[str, str]) -> Path:
    spec = {
        "model": {"source": "file://./model.onnx", "task": task},
        "data": {"evaluation": {"source": "file://./test.parquet", "columns": columns}},
        "pipeline": [{"quantize": {"method": "dynamic", "dtype": "int8"}}],
        "sla": {"quality": quality, "onViolation": "Alert"},
        "benchmark": {"timeLimit": "2s"},
        "output": {"destination": "file://./out"},
    }
    manifest = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionJob"}
    (folder / "job.yaml").write_text(yaml.safe_dump({**manifest, "metadata": {"name": "table"}, "spec": spec}))
    return folder / "job.yaml"


def predict_rows(graph: Path, table: Path, target: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a graph's outputs for each row alone, as the evaluation runs it, and the targets."""
    columns = pq.read_table(table).to_pydict()
    right = np.asarray(columns.pop(target))
    features = np.stack([np.asarray(values) for values in columns.values()], axis=1).astype(np.float32)
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return np.concatenate([session.run(None, {given.name: row[None]})[0] for row in features]), right


def test_breast_cancer_scores_match_scikit_learn(tmp_path: Path) -> None:
    breast_cancer(tmp_path)
    quality = {"metric": "f1", "maxDrop": "0.05"}
    report = finish(job(tmp_path, "tabular-classification", {}, quality), tmp_path / "work")
    for side, graph in (("baseline", tmp_path / "model.onnx"), ("compressed", tmp_path / "work/output/model.onnx")):
        scores, labels = predict_rows(graph, tmp_path / "test.parquet", "label")
        measured = report[side]["quality"]
        assert measured["f1"] == pytest.approx(f1_score(labels, scores.argmax(1)), abs=1e-3)
        assert measured["accuracy"] == pytest.approx(accuracy_score(labels, scores.argmax(1)), abs=1e-3)
    assert report["baseline"]["quality"]["f1"] > 0.95
    assert report["compressed"]["quality"]["f1"] > 0.93


def test_diabetes_scores_match_scikit_learn(tmp_path: Path) -> None:
    diabetes(tmp_path)
    columns = {"features": ["age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"]}
    quality = {"metric": "mae", "maxIncrease": "0.05"}
    report = finish(job(tmp_path, "tabular-regression", columns, quality), tmp_path / "work")
    for side, graph in (("baseline", tmp_path / "model.onnx"), ("compressed", tmp_path / "work/output/model.onnx")):
        predictions, targets = predict_rows(graph, tmp_path / "test.parquet", "target")
        measured = report[side]["quality"]
        assert measured["mae"] == pytest.approx(mean_absolute_error(targets, predictions[:, 0]), rel=1e-4)
        assert measured["mse"] == pytest.approx(mean_squared_error(targets, predictions[:, 0]), rel=1e-4)
    assert report["compressed"]["quality"]["correlation"] > least_cosine(0.99)
