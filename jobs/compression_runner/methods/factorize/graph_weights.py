"""The weights of an ONNX graph that can be factorized, with readable names."""

from dataclasses import dataclass, field

import onnx
from onnx import numpy_helper

from compression_runner.calibration.layers import FLOATS, GraphLayer, attribute, consumers, find_layers, tensor_of
from compression_runner.calibration.naming import weight_names
from compression_runner.methods.factorize.decomposition import Floats
from compression_runner.methods.factorize.model import Kind, Target


@dataclass
class GraphWeight:
    """One initializer and the layers that use it, all in the same way.

    A lookup counts as a layer with one-hot input rows; its `source` are the indices.
    """

    target: Target
    initializer: str
    layers: list[GraphLayer] = field(default_factory=list)


def find_weights(model: onnx.ModelProto) -> list[GraphWeight]:
    """Return the weights of MatMul, Gemm, Conv and Gather in graph order."""
    users = consumers(model)
    by_name: dict[str, list[GraphLayer]] = {}
    for layer in sorted([*find_layers(model), *_lookups(model)], key=lambda layer: layer.index):
        by_name.setdefault(layer.weight, []).append(layer)
    names = weight_names(model, list(by_name))
    return [
        GraphWeight(_target(model, names[weight], layers, users[weight]), weight, layers)
        for weight, layers in by_name.items()
    ]


def load(model: onnx.ModelProto, layer: GraphLayer, kind: Kind) -> Floats:
    """Return the weight of a layer in the layout of a Target."""
    array: Floats = numpy_helper.to_array(tensor_of(model, layer.weight))
    return array.T if kind == "linear" and layer.by_output else array


def _target(model: onnx.ModelProto, name: str, layers: list[GraphLayer], readers: list[int]) -> Target:
    kinds = {_kind(model, layer) for layer in layers}
    kind, first = _kind(model, layers[0]), layers[0]
    tensor = tensor_of(model, first.weight)
    transposed = kind == "linear" and first.by_output
    shape = tuple(reversed(tensor.dims)) if transposed else tuple(tensor.dims)
    uses = sorted(layer.index if layer.through is None else layer.through for layer in layers)
    uniform = len(kinds) == 1 and len({layer.by_output for layer in layers}) == 1 and uses == readers
    is_output = any(value.name == first.weight for value in model.graph.output)
    unit = 2 if tensor.data_type == onnx.TensorProto.FLOAT16 else 4
    return Target(name, kind, shape, unit, lambda: load(model, first, kind), shared=not uniform or is_output)


def _kind(model: onnx.ModelProto, layer: GraphLayer) -> Kind:
    if layer.operator == "Conv":
        return "convolution"
    return "embedding" if model.graph.node[layer.index].op_type == "Gather" else "linear"


def _lookups(model: onnx.ModelProto) -> list[GraphLayer]:
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


def _lookup(index: int, node: onnx.NodeProto, table: onnx.TensorProto) -> GraphLayer:
    rows, width = (int(length) for length in table.dims)
    return GraphLayer(index, node.name, "MatMul", node.input[1], table.name, width, rows, by_output=False)
