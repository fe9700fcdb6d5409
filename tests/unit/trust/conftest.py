"""Tiny ONNX models that the trust tests share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compression_runner.evaluation.answers.model import Answering, Checkpoint
from compression_runner.evaluation.statistics import paired_bootstrap
from compression_runner.inference.onnx import OnnxPredictor
from compressionjob.tasks import Task

Linear = Callable[..., Answering]


@pytest.fixture
def linear(tmp_path: Path) -> Iterator[Linear]:
    """Return a function that makes `logits = x @ weights` ready to answer."""
    opened: list[OnnxPredictor] = []

    def make(
        weights: NDArray[np.float32], task: Task = "tabular-classification", checkpoint: Checkpoint | None = None
    ) -> Answering:
        rows, columns = weights.shape
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "weights"], ["logits"])],
            "linear",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", rows])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", columns])],
            [numpy_helper.from_array(weights.astype(np.float32), "weights")],
        )
        path = tmp_path / f"{len(opened)}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
        opened.append(OnnxPredictor(path, 1))
        return Answering(opened[-1], task, 1, checkpoint)

    yield make
    for predictor in opened:
        predictor.close()


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired_bootstrap, "RESAMPLES", 400)
