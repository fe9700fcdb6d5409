"""Tables of embeddings in INT8 with one scale per row: look up integers, then dequantize."""

from collections.abc import Collection
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from compression_runner.calibration.layers import attribute, consumers, tensor_of

MIN_TABLE: Final = 1024
"""Minimum elements of a table: for smaller ones the additional operations cost more than the saved bytes."""


def find_tables(model: onnx.ModelProto) -> list[str]:
    """Return float32 matrices that only row look-ups read, in graph order."""
    tables = {
        tensor.name
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 2 and np.prod(tensor.dims) >= MIN_TABLE
    }
    readers = consumers(model)
    outputs = {value.name for value in model.graph.output}
    candidates = {
        node.input[0]: None
        for node in model.graph.node
        if node.op_type == "Gather" and node.input[0] in tables - outputs and attribute(node, "axis", 0) == 0
    }
    nodes = model.graph.node
    return [
        name
        for name in candidates
        if all(
            nodes[node_index].op_type == "Gather" and nodes[node_index].input[1] != name for node_index in readers[name]
        )
    ]


def quantize_rows(table: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return codes of shape (rows, columns) from -127 to 127, and the scale of each row, shape (rows, 1)."""
    scales = np.abs(table).max(axis=1, keepdims=True) / np.float32(127)
    scales = np.where(scales > 0, scales, np.float32(1)).astype(np.float32)
    codes = np.clip(np.rint(table / scales), -127, 127).astype(np.int8)
    return codes, scales


def quantize_tables(model: onnx.ModelProto, names: Collection[str]) -> None:
    """Replace the tables, and every look-up in them."""
    for name in names:
        tensor = tensor_of(model, name)
        codes, scales = quantize_rows(numpy_helper.to_array(tensor))
        tensor.CopyFrom(numpy_helper.from_array(codes, f"{name}_int8"))
        model.graph.initializer.append(numpy_helper.from_array(scales, f"{name}_scales"))
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes.extend(_look_up(node) if node.op_type == "Gather" and node.input[0] in names else [node])
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _look_up(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    table, rows = node.input
    result = node.output[0]
    integers, floats, scales = (f"{result}_{part}" for part in ("int8", "float", "scales"))
    return [
        helper.make_node("Gather", [f"{table}_int8", rows], [integers], name=f"{node.name}_int8", axis=0),
        helper.make_node("Cast", [integers], [floats], name=f"{node.name}_cast", to=onnx.TensorProto.FLOAT),
        helper.make_node("Gather", [f"{table}_scales", rows], [scales], name=f"{node.name}_scales", axis=0),
        helper.make_node("Mul", [floats, scales], [result], name=f"{node.name}_scaled"),
    ]
