"""Small graphs with every kind of layer."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compression_runner.evaluation.answers.model import Answering

Linear = Callable[..., Answering]
LinearModel = Callable[..., Path]


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: dict[str, Sequence[int | str | None]],
    outputs: Sequence[str],
    weights: dict[str, np.ndarray],
    types: dict[str, int] | None = None,
) -> onnx.ModelProto:
    """A model; inputs are float32 but for those in `types`."""
    made = helper.make_graph(
        list(nodes),
        "graph",
        [
            helper.make_tensor_value_info(name, (types or {}).get(name, TensorProto.FLOAT), list(shape))
            for name, shape in inputs.items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def linear(place: Path, weights: NDArray[np.float32], batch: int | str = "batch", output: str = "logits") -> Path:
    """Write `output = x @ weights` with weights of shape (inputs, outputs); returns its place."""
    rows, columns = weights.shape
    made = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weights"], [output])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, rows])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch, columns])],
        [numpy_helper.from_array(weights.astype(np.float32), "weights")],
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), place)
    return place


def random(*shape: int, seed: int = 7) -> np.ndarray:
    """Normally distributed float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def language_model(vocabulary: int = 40, width: int = 16, hidden: int = 24) -> onnx.ModelProto:
    """Tokens to logits through a table, a scaling, two layers that share an input, one more, and the tied table."""
    node = helper.make_node
    nodes = [
        node("Gather", ["table", "tokens"], ["embedded"]),
        node("Mul", ["embedded", "scale"], ["scaled"]),
        node("MatMul", ["scaled", "gate"], ["gated"], name="gate"),
        node("MatMul", ["scaled", "up"], ["upped"], name="up"),
        node("Sigmoid", ["gated"], ["opened"]),
        node("Mul", ["opened", "upped"], ["inner"]),
        node("MatMul", ["inner", "down"], ["downed"], name="down"),
        node("Add", ["embedded", "downed"], ["states"]),
        node("Transpose", ["table"], ["turned"], perm=[1, 0]),
        node("MatMul", ["states", "turned"], ["logits"], name="head"),
    ]
    weights = {
        "table": random(vocabulary, width, seed=1),
        "scale": 1 + 0.5 * random(width, seed=2),
        "gate": random(width, hidden, seed=3) / 4,
        "up": random(width, hidden, seed=4) / 4,
        "down": random(hidden, width, seed=5) / 4,
    }
    return graph(nodes, {"tokens": ["batch", "sequence"]}, ["logits"], weights, {"tokens": TensorProto.INT64})
