"""The sample for task onnx: a graph of two layers and its inputs, from a fixed seed."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SEED = 20261124
WIDTH = 512


def perceptron(destination: Path) -> None:
    """Write model.onnx, (batch, 512) to (batch, 16), and inputs.npz with 500 inputs `x`."""
    random = np.random.default_rng(SEED)
    first = (random.normal(size=(WIDTH, WIDTH)) / WIDTH**0.5).astype(np.float32)
    second = (random.normal(size=(WIDTH, 16)) / WIDTH**0.5).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "first"], ["hidden"]),
            helper.make_node("Relu", ["hidden"], ["active"]),
            helper.make_node("MatMul", ["active", "second"], ["y"]),
        ],
        "perceptron",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 16])],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )
    destination.mkdir(parents=True, exist_ok=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, destination / "model.onnx")
    np.savez(destination / "inputs.npz", x=random.normal(size=(500, WIDTH)).astype(np.float32))
