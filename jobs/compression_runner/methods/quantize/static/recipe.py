"""Which nodes of a graph are quantized, and which stay in floats.

Where a graph has attention or layer normalisation, only what multiplies with constant weights is quantized, and its
result is a float again: residual streams and the inputs of softmax and normalisation span ranges that 256 codes do not
cover (all operators of MiniLM in INT8 leave a cosine of 0.40). A convolutional network is quantized from end to end,
so that it stays in integers between its convolutions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import onnx

from compression_runner.calibration.layers import FLOATS

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


def is_transformer(model: onnx.ModelProto) -> bool:
    """Whether there is layer normalisation, or a softmax whose result is multiplied with something."""
    if any(node.op_type in NORMALISATIONS for node in model.graph.node):
        return True
    shares = {node.output[0] for node in model.graph.node if node.op_type == "Softmax"}
    return any(node.op_type == "MatMul" and shares & set(node.input) for node in model.graph.node)


def _value_types(model: onnx.ModelProto) -> dict[str, int]:
    values = (*model.graph.value_info, *model.graph.input, *model.graph.output)
    return {value.name: value.type.tensor_type.elem_type for value in values}
