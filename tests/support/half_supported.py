"""A graph of which OpenVINO's execution provider takes one part: it has no operator for `Normalizer`.

This module imports no code of this project, since it also runs in an environment of its own.
"""

from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WIDTH: Final = 8
FEED: Final = {"x": np.linspace(-1.0, 1.0, 2 * WIDTH, dtype=np.float32).reshape(2, WIDTH)}


def half_supported(place: Path, whole: bool = False) -> Path:
    """Write the graph, or with `whole` the same graph with an operator that the provider has; return the path.

    Three of its nodes compute with floats, and two compute the shape for the fourth.
    """
    middle = (
        helper.make_node("Relu", ["a"], ["b"], name="middle")
        if whole
        else helper.make_node("Normalizer", ["a"], ["b"], name="middle", domain="ai.onnx.ml", norm="L2")
    )
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"], name="first"),
        middle,
        helper.make_node("Shape", ["b"], ["shape"], name="shape"),
        helper.make_node("Sub", ["shape", "nothing"], ["target"], name="target"),
        helper.make_node("Reshape", ["b", "target"], ["c"], name="reshape"),
        helper.make_node("MatMul", ["c", "w"], ["y"], name="last"),
    ]
    known = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", WIDTH]) for name in "xabcy"]
    weights = np.eye(WIDTH, dtype=np.float32)[::-1]
    graph = helper.make_graph(
        nodes,
        "half",
        known[:1],
        known[-1:],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(np.zeros(2, np.int64), "nothing")],
        value_info=known[1:-1],
    )
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    onnx.save(helper.make_model(graph, opset_imports=sets, ir_version=9), place)
    return place
