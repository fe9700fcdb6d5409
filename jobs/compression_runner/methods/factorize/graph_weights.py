"""The weights of an ONNX graph that can be factorized, and what people call them."""

from dataclasses import dataclass, field

import onnx
from onnx import numpy_helper

from compression_runner.calibration.layers import FLOATS, Layer, attribute, consumers, find_layers, tensor_of
from compression_runner.calibration.naming import weight_names
from compression_runner.methods.factorize.decomposition import Floats
from compression_runner.methods.factorize.model import Kind, Target


@dataclass
class GraphWeight:
    """One initializer with the layers that multiply it, all in the same way.

    A lookup counts as a layer whose inputs are one-hot rows; its `source` are the indices.
    """

    target: Target
    initializer: str
    layers: list[Layer] = field(default_factory=list)


def find_weights(model: onnx.ModelProto) -> list[GraphWeight]:
    """Weights of MatMul, Gemm, Conv and Gather in the order of the graph."""
    users = consumers(model)
    by_name: dict[str, list[Layer]] = {}
    for layer in sorted([*find_layers(model), *_lookups(model)], key=lambda layer: layer.index):
        by_name.setdefault(layer.weight, []).append(layer)
    taken = weight_names(model, list(by_name))
    return [
        GraphWeight(_target(model, taken[weight], layers, users[weight]), weight, layers)
        for weight, layers in by_name.items()
    ]


def load(model: onnx.ModelProto, layer: Layer, kind: Kind) -> Floats:
    """A layer's weight as a Target gives it."""
    array: Floats = numpy_helper.to_array(tensor_of(model, layer.weight))
    return array.T if kind == "linear" and layer.by_output else array


def _target(model: onnx.ModelProto, name: str, layers: list[Layer], readers: list[int]) -> Target:
    kinds = {_kind(model, layer) for layer in layers}
    kind, first = _kind(model, layers[0]), layers[0]
    tensor = tensor_of(model, first.weight)
    transposed = kind == "linear" and first.by_output
    shape = tuple(reversed(tensor.dims)) if transposed else tuple(tensor.dims)
    uses = sorted(layer.index if layer.through is None else layer.through for layer in layers)
    alike = len(kinds) == 1 and len({layer.by_output for layer in layers}) == 1 and uses == readers
    given_out = any(value.name == first.weight for value in model.graph.output)
    unit = 2 if tensor.data_type == onnx.TensorProto.FLOAT16 else 4
    return Target(name, kind, shape, unit, lambda: load(model, first, kind), shared=not alike or given_out)


def _kind(model: onnx.ModelProto, layer: Layer) -> Kind:
    if layer.operator == "Conv":
        return "convolution"
    return "embedding" if model.graph.node[layer.index].op_type == "Gather" else "linear"


def _lookups(model: onnx.ModelProto) -> list[Layer]:
    tables = {
        tensor.name: tensor
        for tensor in model.graph.initializer
        if tensor.data_type in FLOATS and len(tensor.dims) == 2
    }
    return [
        _lookup(index, node, tables[node.input[0]])
        for index, node in enumerate(model.graph.node)
        if node.op_type == "Gather" and node.input[0] in tables and attribute(node, "axis", 0) == 0
    ]


def _lookup(index: int, node: onnx.NodeProto, table: onnx.TensorProto) -> Layer:
    rows, width = (int(length) for length in table.dims)
    return Layer(index, node.name, "MatMul", node.input[1], table.name, width, rows, by_output=False)
