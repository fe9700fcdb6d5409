"""Select the nodes of a graph to quantize.

In a graph with attention or layer normalization, only products with constant weights are quantized, and their results
are floats: residual streams and the inputs of softmax and normalization span ranges that 256 codes do not cover (with
all operators in INT8, MiniLM has a cosine of 0.40). A convolutional network is quantized from end to end, so that
values between its convolutions are integers. A Concat and its readers have one scale for all branches: if the ranges of
the branches differ by RANGE_RATIO (such as boxes in pixels and class scores), it stays a float.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from onnx import numpy_helper

from compression_runner.calibration.layers import FLOATS
from compression_runner.methods.quantize.static.ranges import Range

WEIGHTED: Final = ("Conv", "ConvTranspose", "Gemm", "MatMul")
CHAINED: Final = (
    "Add", "AveragePool", "Clip", "Concat", "Flatten", "GlobalAveragePool", "MaxPool", "Pad", "Relu", "Reshape",
    "Resize", "Squeeze", "Transpose", "Unsqueeze",
)  # fmt: skip
"""Operators between convolutions that onnxruntime computes in integers."""
FLOAT_RESULTS: Final = ("Gemm", "MatMul")
"""Integer products with a float result in onnxruntime, without a second rounding."""
NORMALIZATIONS: Final = frozenset(
    {"LayerNormalization", "SimplifiedLayerNormalization", "SkipLayerNormalization", "RMSNormalization"}
)

RANGE_RATIO: Final = 10.0
"""At this ratio of two ranges with one scale, the smaller range has at most 25 of the 256 codes."""


@dataclass(frozen=True)
class NodeSelection:
    """Names of the nodes to quantize, in graph order, with their operators."""

    nodes: Mapping[str, str]
    transformer: bool

    @property
    def weighted(self) -> tuple[str, ...]:
        """The nodes that multiply by constant weights."""
        return tuple(name for name, operator in self.nodes.items() if operator in WEIGHTED)

    def only_weighted(self) -> "NodeSelection":
        """Return the products with constant weights only."""
        return NodeSelection({name: self.nodes[name] for name in self.weighted}, self.transformer)

    def without(self, names: Collection[str]) -> "NodeSelection":
        """Return the selection without these nodes."""
        return NodeSelection({name: kind for name, kind in self.nodes.items() if name not in names}, self.transformer)

    def calibrated_values(self, model: onnx.ModelProto) -> set[str]:
        """Return the values that need ranges: float inputs and outputs of the nodes, without constants."""
        constants = {tensor.name for tensor in model.graph.initializer}
        kinds = _value_types(model)
        selected = [node for node in model.graph.node if node.name in self.nodes]
        names = {name for node in selected for name in (*node.input, *node.output) if name}
        return {name for name in names - constants if kinds.get(name) in FLOATS}


def select_nodes(model: onnx.ModelProto) -> NodeSelection:
    """Select the nodes of a prepared graph to quantize."""
    transformer = is_transformer(model)
    constants = {
        tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT and tensor.dims
    }
    kinds = _value_types(model)
    nodes: dict[str, str] = {}
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            continue
        by_weights = node.op_type in WEIGHTED and len(node.input) > 1 and node.input[1] in constants
        if (by_weights and node.input[0] not in constants) or (
            not transformer and node.op_type in CHAINED and kinds.get(node.output[0]) == onnx.TensorProto.FLOAT
        ):
            nodes[node.name] = node.op_type
    has_convolutions = any(operator in ("Conv", "ConvTranspose") for operator in nodes.values())
    if not has_convolutions:
        nodes = {name: operator for name, operator in nodes.items() if operator in WEIGHTED}
    return NodeSelection(nodes, transformer)


def mixed_range_nodes(model: onnx.ModelProto, selection: NodeSelection, ranges: Mapping[str, Range]) -> tuple[str, ...]:
    """Return the selected nodes for which branches of different range would share a scale, in graph order.

    These are each Concat of such branches, and the nodes that read its values before an operator changes the range.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}

    def magnitude(name: str) -> float:
        if name in ranges:
            return max(abs(ranges[name].low), abs(ranges[name].high))
        if name in constants and constants[name].data_type in FLOATS:
            return float(np.abs(numpy_helper.to_array(constants[name])).max(initial=0.0))
        return 0.0

    mixed: set[str] = set()
    names: list[str] = []
    for node in model.graph.node:
        if node.name not in selection.nodes:
            continue
        magnitudes = [size for size in map(magnitude, node.input) if size > 0] if node.op_type == "Concat" else []
        different = bool(magnitudes) and max(magnitudes) >= RANGE_RATIO * min(magnitudes)
        if different or mixed & set(node.input):
            names.append(node.name)
            if node.op_type not in WEIGHTED:
                mixed |= set(node.output)
    return tuple(names)


def is_transformer(model: onnx.ModelProto) -> bool:
    """Return whether the graph has layer normalization, or a MatMul of a softmax."""
    if any(node.op_type in NORMALIZATIONS for node in model.graph.node):
        return True
    shares = {node.output[0] for node in model.graph.node if node.op_type == "Softmax"}
    return any(node.op_type == "MatMul" and shares & set(node.input) for node in model.graph.node)


def _value_types(model: onnx.ModelProto) -> dict[str, int]:
    values = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}
