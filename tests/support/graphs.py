"""Small graphs with every kind of layer."""

from collections.abc import Callable, Mapping, Sequence
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
    inputs: Mapping[str, Sequence[int | str | None]],
    outputs: Sequence[str],
    weights: dict[str, np.ndarray],
    types: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    """Return a model. Inputs are float32 except those in `types`."""
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
    """Write `output = x @ weights` with weights of shape (inputs, outputs); return the path."""
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
    """Return normally distributed float32 values."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def language_model(vocabulary: int = 40, width: int = 16, hidden: int = 24) -> onnx.ModelProto:
    """Return a language model: embedding, scaling, a gated feed-forward block, a tied output layer."""
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


def conditional(width: int, opset: int = 17) -> onnx.ModelProto:
    """Return an If whose branches have their own weights. One is a Constant named like a value of the other branch."""
    value = helper.make_tensor_value_info
    then = helper.make_graph(
        [helper.make_node("MatMul", ["x", "inner"], ["yes"])],
        "then",
        [],
        [value("yes", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(random(width, width, seed=1) / 4, "inner")],
    )
    kept = helper.make_node("Constant", [], ["kept"], value=numpy_helper.from_array(random(width, width, seed=2) / 4))
    otherwise = helper.make_graph(
        [kept, helper.make_node("Relu", ["x"], ["inner"]), helper.make_node("MatMul", ["inner", "kept"], ["no"])],
        "else",
        [],
        [value("no", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["largest"], keepdims=0),
        helper.make_node("Greater", ["largest", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["chosen"], then_branch=then, else_branch=otherwise),
        helper.make_node("MatMul", ["chosen", "head"], ["y"], name="head"),
    ]
    weights = {"zero": np.float32(0), "head": random(width, 4, seed=3)}
    model = graph(nodes, {"x": ["batch", width]}, ["y"], {name: np.asarray(array) for name, array in weights.items()})
    model.opset_import[0].version = opset
    return model


def looped(width: int, opset: int = 17) -> onnx.ModelProto:
    """Return a Loop of three iterations whose body multiplies by a Constant, and by a transposed initializer."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Constant", [], ["kept"], value=numpy_helper.from_array(random(width, width, seed=1) / 4)),
            helper.make_node("Transpose", ["turned"], ["straight"], perm=[1, 0]),
            helper.make_node("MatMul", ["state", "kept"], ["inner"]),
            helper.make_node("MatMul", ["inner", "straight"], ["next"]),
            helper.make_node("Identity", ["going"], ["goes"]),
        ],
        "body",
        [
            value("round", TensorProto.INT64, []),
            value("going", TensorProto.BOOL, []),
            value("state", TensorProto.FLOAT, ["batch", width]),
        ],
        [value("goes", TensorProto.BOOL, []), value("next", TensorProto.FLOAT, ["batch", width])],
        [numpy_helper.from_array(random(width, width, seed=2) / 4, "turned")],
    )
    nodes = [
        helper.make_node("Loop", ["rounds", "always", "x"], ["last"], body=body),
        helper.make_node("MatMul", ["last", "head"], ["y"], name="head"),
    ]
    weights = {"rounds": np.int64(3), "always": np.bool_(True), "head": random(width, 4, seed=3)}
    model = graph(nodes, {"x": ["batch", width]}, ["y"], {name: np.asarray(array) for name, array in weights.items()})
    model.opset_import[0].version = opset
    # The shape of the loop state is not inferred.
    model.graph.output[0].CopyFrom(value("y", TensorProto.FLOAT, ["batch", 4]))
    return model


def constant_graph(weights: np.ndarray) -> onnx.ModelProto:
    """Return a MatMul whose weight is a Constant, as from older exporters; x and y have its type."""
    nodes = [
        helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(weights)),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    kind = helper.np_dtype_to_tensor_dtype(weights.dtype)
    model = graph(nodes, {"x": ["batch", len(weights)]}, ["y"], {}, {"x": kind})
    model.graph.output[0].type.tensor_type.elem_type = kind
    return model


def lstm_step(inputs: int = 3, hidden: int = 4) -> onnx.ModelProto:
    """One step of an LSTM: x (batch, inputs), h and c (1, batch, hidden) to y (batch, hidden), hn and cn."""
    node = helper.make_node
    nodes = [
        node("Unsqueeze", ["x", "first"], ["sequence"]),
        node("LSTM", ["sequence", "w", "r", "", "", "h", "c"], ["", "hn", "cn"], hidden_size=hidden, name="lstm"),
        node("Squeeze", ["hn", "first"], ["y"]),
    ]
    state = (1, "batch", hidden)
    shapes = {"x": ("batch", inputs), "h": state, "c": state}
    return graph(nodes, shapes, ["y", "hn", "cn"], _lstm_weights(inputs, hidden) | {"first": np.array([0])})


def lstm_sequence(inputs: int = 3, hidden: int = 4) -> onnx.ModelProto:
    """The LSTM of `lstm_step` over whole sequences: x (steps, batch, inputs) to y (steps, 1, batch, hidden)."""
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=hidden)]
    return graph(nodes, {"x": ("steps", "batch", inputs)}, ["y"], _lstm_weights(inputs, hidden))


def _lstm_weights(inputs: int, hidden: int) -> dict[str, np.ndarray]:
    return {"w": random(1, 4 * hidden, inputs, seed=1), "r": random(1, 4 * hidden, hidden, seed=2)}
