"""Dynamic quantization of operators in bodies of If, whose weights are in the main graph."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compression_runner.formats.normalization import require_valid
from compression_runner.stages.method import StageContext
from compressionjob.methods.registry import Quantize
from tests.support.graphs import graph, random
from tests.support.stages import answers, apply_method, sealed_graph

WIDTH, HIDDEN, LENGTH = 8, 16, 12
X = random(3, WIDTH, LENGTH, seed=5)
node = helper.make_node
STORED = {
    "kernel": random(WIDTH, WIDTH, 3, seed=1) / 4,
    "bias": random(WIDTH, seed=2),
    "inputs": random(1, 4 * HIDDEN, WIDTH, seed=3) / 4,
    "states": random(1, 4 * HIDDEN, HIDDEN, seed=4) / 4,
    "one": np.float32(1),
}
"""Weights shared by several operators, in two bodies or in one graph."""


def body(name: str, nodes: list[onnx.NodeProto]) -> onnx.GraphProto:
    """Return a body with the output of its last node."""
    return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(nodes[-1].output[0], 1, None)])


def convolved(x: str, y: str) -> onnx.NodeProto:
    return node("Conv", [x, "kernel", "bias"], [y], name=f"conv_{y}", pads=[1, 1])


def recurrent(x: str, y: str) -> list[onnx.NodeProto]:
    """Return an LSTM of the shared weights over (batch, width, length), named after its result."""
    return [
        node("Transpose", [x], [f"{y}_steps"], perm=[2, 0, 1]),
        node("LSTM", [f"{y}_steps", "inputs", "states"], [f"{y}_all", y], name=f"lstm_{y}", hidden_size=HIDDEN),
    ]


def branches(otherwise: bool) -> onnx.ModelProto:
    """Return two consecutive If nodes whose bodies share weights; the second reads the output of the first."""
    nodes = [
        node("ReduceMax", ["x"], ["largest"], keepdims=0),
        node("Less" if otherwise else "GreaterOrEqual", ["largest", "one"], ["chosen"]),
        node(
            "If",
            ["chosen"],
            ["first"],
            then_branch=body("then1", [convolved("x", "first_then")]),
            else_branch=body("else1", [node("Relu", ["x"], ["clipped"]), convolved("clipped", "first_else")]),
        ),
        node(
            "If",
            ["chosen"],
            ["last"],
            then_branch=body("then2", recurrent("first", "last_then")),
            else_branch=body("else2", [node("Neg", ["first"], ["negative"]), *recurrent("negative", "last_else")]),
        ),
    ]
    return graph(nodes, {"x": ["batch", WIDTH, LENGTH]}, ["last"], {k: np.asarray(v) for k, v in STORED.items()})


def shared() -> onnx.ModelProto:
    """Return a graph without bodies in which two LSTMs share their weights."""
    nodes = [
        *recurrent("x", "forward"),
        node("Neg", ["x"], ["negative"]),
        *recurrent("negative", "backward"),
        node("Concat", ["forward", "backward"], ["last"], axis=2),
    ]
    weights = {name: STORED[name] for name in ("inputs", "states")}
    return graph(nodes, {"x": ["batch", WIDTH, LENGTH]}, ["last"], {k: np.asarray(v) for k, v in weights.items()})


BUILDERS = [lambda: branches(False), lambda: branches(True), shared]


@pytest.mark.parametrize("build", BUILDERS, ids=["then", "else", "shared"])
def test_shared_weights_and_weights_outside_of_bodies_become_integers(build: Any, tmp_path: Path) -> None:
    source = sealed_graph(build(), tmp_path / "source")
    (tmp_path / "out").mkdir()
    context = StageContext(tmp_path / "out", "spec.pipeline[0].quantize")
    # CPUs without VNNI saturate sums of products, most of all with a scale for each channel.
    parameters = Quantize.model_validate({"method": "dynamic", "granularity": "tensor"})
    outcome = apply_method("quantize", source, parameters, context)

    require_valid(outcome.artifact.model_file, context.field)
    old, new = (answers(each, {"x": X}).ravel() for each in (source, outcome.artifact))
    assert old @ new / np.linalg.norm(old) / np.linalg.norm(new) > 0.99
    assert outcome.details["quantizedOperators"]["DynamicQuantizeLSTM"] == 2
    assert "left" not in outcome.details
    stored = onnx.load(outcome.artifact.model_file).graph.initializer
    assert not [each.name for each in stored if each.data_type == TensorProto.FLOAT and len(each.dims) > 2]
