"""Which nodes of a graph are quantized, and which stay in floats.

Where a graph has attention or layer normalisation, only what multiplies with constant weights is quantized, and its
result is a float again: residual streams and the inputs of softmax and normalisation span ranges that 256 codes do not
cover (all operators of MiniLM in INT8 leave a cosine of 0.40). A convolutional network is quantized from end to end,
so that it stays in integers between its convolutions. A Concat has one scale for all its branches, and so has what
reads it: where the ranges of the branches differ by UNLIKE (boxes in pixels beside class scores), it stays a float.
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
"""What a convolutional network has between its convolutions and onnxruntime computes in integers."""
FLOAT_RESULTS: Final = ("Gemm", "MatMul")
"""Integer products whose result onnxruntime gives as a float in the same operation: no second rounding."""
NORMALISATIONS: Final = frozenset(
    {"LayerNormalization", "SimplifiedLayerNormalization", "SkipLayerNormalization", "RMSNormalization"}
)

UNLIKE: Final = 10.0
"""Of two ranges that share a scale the smaller would keep no more than 25 of the 256 codes."""


@dataclass(frozen=True)
class Recipe:
    """Names of the nodes that are quantized, in the graph's order, and the operators that they are of."""

    nodes: Mapping[str, str]
    transformer: bool

    @property
    def weighted(self) -> tuple[str, ...]:
        """The nodes that multiply with constant weights."""
        return tuple(name for name, operator in self.nodes.items() if operator in WEIGHTED)

    def only_weighted(self) -> "Recipe":
        """The same without what stands between products."""
        return Recipe({name: self.nodes[name] for name in self.weighted}, self.transformer)

    def without(self, names: Collection[str]) -> "Recipe":
        """The same without some nodes."""
        return Recipe({name: kind for name, kind in self.nodes.items() if name not in names}, self.transformer)

    def observed(self, model: onnx.ModelProto) -> set[str]:
        """The values whose ranges must be known: float inputs and outputs of the nodes, but for constants."""
        constants = {tensor.name for tensor in model.graph.initializer}
        kinds = _value_types(model)
        chosen = [node for node in model.graph.node if node.name in self.nodes]
        names = {name for node in chosen for name in (*node.input, *node.output) if name}
        return {name for name in names - constants if kinds.get(name) in FLOATS}


def choose(model: onnx.ModelProto) -> Recipe:
    """What of a prepared graph is quantized."""
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
    return Recipe(nodes, transformer)


def unlike_branches(model: onnx.ModelProto, recipe: Recipe, ranges: Mapping[str, Range]) -> tuple[str, ...]:
    """The nodes of a recipe for which branches of unlike range would share a scale, in the graph's order.

    They are each Concat of such branches, and the nodes that read its values before anything gives them another range.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}

    def reach(name: str) -> float:
        if name in ranges:
            return max(abs(ranges[name].low), abs(ranges[name].high))
        if name in constants and constants[name].data_type in FLOATS:
            return float(np.abs(numpy_helper.to_array(constants[name])).max(initial=0.0))
        return 0.0

    mixed: set[str] = set()
    found: list[str] = []
    for node in model.graph.node:
        if node.name not in recipe.nodes:
            continue
        reaches = [size for size in map(reach, node.input) if size > 0] if node.op_type == "Concat" else []
        unlike = bool(reaches) and max(reaches) >= UNLIKE * min(reaches)
        if unlike or mixed & set(node.input):
            found.append(node.name)
            if node.op_type not in WEIGHTED:
                mixed |= set(node.output)
    return tuple(found)


def is_transformer(model: onnx.ModelProto) -> bool:
    """Whether there is layer normalisation, or a softmax whose result is multiplied with something."""
    if any(node.op_type in NORMALISATIONS for node in model.graph.node):
        return True
    shares = {node.output[0] for node in model.graph.node if node.op_type == "Softmax"}
    return any(node.op_type == "MatMul" and shares & set(node.input) for node in model.graph.node)


def _value_types(model: onnx.ModelProto) -> dict[str, int]:
    values = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}
