"""Tiny ONNX models and data files that the measurement tests share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

LinearModel = Callable[..., Path]


@pytest.fixture
def linear_model(tmp_path: Path) -> LinearModel:
    """Return a function that writes `scores = x @ weights`; a fixed batch size where one is given."""

    def write(name: str, weights: NDArray[np.float32], batch: int | str = "batch", output: str = "logits") -> Path:
        rows, columns = weights.shape
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "weights"], [output])],
            "linear",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, rows])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, columns])],
            [numpy_helper.from_array(weights, "weights")],
        )
        path = tmp_path / f"{name}.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
        return path

    return write
