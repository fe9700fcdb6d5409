"""The tabular samples: scikit-learn's breast cancer and diabetes data, with a small ONNX network for each."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

SEED = 20261124
SHIPPED = Path(__file__).parent / "tabular"
TEST_SHARE = 0.25


@dataclass(frozen=True)
class Rows:
    """Features (rows, columns), their names, and targets (rows,)."""

    names: list[str]
    features: NDArray[np.float64]
    answers: NDArray[np.float64]

    def table(self, answer: str) -> pa.Table:
        """Return a table with a column for each feature, and one named `answer` for the targets."""
        columns = {name: self.features[:, column] for column, name in enumerate(self.names)}
        return pa.table({**columns, answer: self.answers})


def breast_cancer(destination: Path) -> None:
    """Write model.onnx, train.parquet (427 rows) and test.parquet (142): 30 measurements, label 0 malign 1 benign."""
    _write("breast-cancer", destination, "label")


def diabetes(destination: Path) -> None:
    """Write model.onnx, train.parquet (332 rows) and test.parquet (110): 10 measurements, target: progress."""
    _write("diabetes", destination, "target")


def split(name: str) -> tuple[Rows, Rows]:
    """Return the rows of `breast-cancer` or `diabetes` for training and for testing, drawn with a fixed seed."""
    from sklearn.datasets import load_breast_cancer, load_diabetes

    data = load_breast_cancer() if name == "breast-cancer" else load_diabetes(scaled=False)
    order = np.random.default_rng(SEED).permutation(len(data.target))
    test = round(len(order) * TEST_SHARE)
    names = [str(column) for column in data.feature_names]
    kind = np.int64 if name == "breast-cancer" else np.float64
    train, rest = (
        Rows(names, data.data[rows], data.target[rows].astype(kind)) for rows in (order[test:], order[:test])
    )
    return train, rest


def train_tabular(destination: Path) -> None:
    """Train both shipped networks, in seconds."""
    from samples.tabular_training import train

    destination.mkdir(parents=True, exist_ok=True)
    for name, outputs in (("breast-cancer", 2), ("diabetes", 1)):
        rows, _ = split(name)
        train(rows.features, rows.answers, outputs, destination / f"{name}.onnx")


def _write(name: str, destination: Path, answer: str) -> None:
    destination.mkdir(parents=True, exist_ok=True)
    for part, rows in zip(("train", "test"), split(name), strict=True):
        pq.write_table(rows.table(answer), destination / f"{part}.parquet")
    shutil.copyfile(SHIPPED / f"{name}.onnx", destination / "model.onnx")
