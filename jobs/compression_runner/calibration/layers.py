"""The layers of an ONNX graph with constant weights, and groups of layers that share an input."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from compression_runner.formats.onnx_files import reads

OPERATORS: Final = ("MatMul", "Gemm", "Conv")
FLOATS: Final = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
Weights = NDArray[np.float32]


@dataclass(frozen=True)
class GraphLayer:
    """One MatMul, Gemm or Conv with a constant weight, as a matrix of `outputs` rows and `inputs` columns.

    `index` is the index of the node in the graph, `source` the value that it multiplies, `weight` the initializer.
    `by_output` is true if the outputs are the first axis of the initializer; `through` is the index of the Transpose
    between the initializer and the node.
    """

    index: int
    name: str
    operator: str
    source: str
    weight: str
    outputs: int
    inputs: int
    by_output: bool
    through: int | None = None


@dataclass(frozen=True)
class LayerGroup:
    """Layers with the same input, and therefore the same input statistics."""

    source: str
    layers: tuple[GraphLayer, ...]

    @property
    def first(self) -> int:
        """The index of their first node in the graph; their input is computed before it."""
        return min(layer.index for layer in self.layers)


def find_layers(model: onnx.ModelProto) -> list[GraphLayer]:
    """Return the layers of the main graph in graph order, without those in subgraphs (If, Loop)."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    transposes = _transposes(model, constants)
    fixed = {name for index in constant_nodes(model) for name in model.graph.node[index].output}
    candidates = (_layer(index, node, constants, transposes) for index, node in enumerate(model.graph.node))
    return [layer for layer in candidates if layer is not None and layer.source not in fixed]


def group_layers(layers: Sequence[GraphLayer]) -> list[LayerGroup]:
    """Group layers by their input, in the order in which the graph computes these inputs."""
    by_source: dict[tuple[str, bool], list[GraphLayer]] = {}
    for layer in layers:
        # A convolution multiplies patches of its input, so its statistics are its own.
        by_source.setdefault((layer.source, layer.operator == "Conv"), []).append(layer)
    groups: list[LayerGroup] = []
    for (source, patches), members in by_source.items():
        groups += [LayerGroup(source, (layer,)) for layer in members] if patches else [_group(source, members)]
    return sorted(groups, key=lambda group: group.first)


def weight_matrix(model: onnx.ModelProto, layer: GraphLayer) -> Weights:
    """Return the weights of a layer, shape (outputs, inputs), as float32."""
    return as_matrix(numpy_helper.to_array(tensor_of(model, layer.weight)), layer)


def as_matrix(array: NDArray[np.generic], layer: GraphLayer) -> Weights:
    """Return an initializer's array as (outputs, inputs) in float32."""
    matrix = array.reshape(array.shape[0], -1) if layer.operator == "Conv" else array
    return np.ascontiguousarray(matrix if layer.by_output else matrix.T, dtype=np.float32)


def set_weights(model: onnx.ModelProto, layer: GraphLayer, matrix: Weights) -> None:
    """Replace the weights of a layer by `matrix`, shape (outputs, inputs), in the initializer's type and shape."""
    tensor = tensor_of(model, layer.weight)
    before = numpy_helper.to_array(tensor)
    array = (matrix if layer.by_output else matrix.T).reshape(before.shape).astype(before.dtype)
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))


def tensor_of(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    """Return the initializer of that name."""
    match: onnx.TensorProto = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    return match


def attribute(node: onnx.NodeProto, name: str, default: object) -> object:
    """Return the value of a node's attribute, or `default`."""
    matches = [entry for entry in node.attribute if entry.name == name]
    return onnx.helper.get_attribute_value(matches[0]) if matches else default


def _group(source: str, members: list[GraphLayer]) -> LayerGroup:
    return LayerGroup(source, tuple(sorted(members, key=lambda layer: layer.index)))


def _transposes(model: onnx.ModelProto, constants: dict[str, onnx.TensorProto]) -> dict[str, tuple[int, str]]:
    """Return value -> (node index, constant) of transposed constant matrices, the exporter's form of tied outputs."""
    return {
        node.output[0]: (index, node.input[0])
        for index, node in enumerate(model.graph.node)
        if node.op_type == "Transpose" and node.input[0] in constants and len(constants[node.input[0]].dims) == 2
        if list(attribute(node, "perm", [1, 0])) == [1, 0]  # type: ignore[call-overload]
    }


def _layer(
    index: int,
    node: onnx.NodeProto,
    constants: dict[str, onnx.TensorProto],
    transposes: dict[str, tuple[int, str]],
) -> GraphLayer | None:
    if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"):
        return None
    through, weight = transposes.get(node.input[1], (None, node.input[1]))
    tensor = constants.get(weight)
    if tensor is None or tensor.data_type not in FLOATS or node.input[0] in constants:
        return None
    by_output = through is not None
    if node.op_type == "Conv":
        if through is not None or attribute(node, "group", 1) != 1:
            return None
        outputs, inputs, by_output = tensor.dims[0], int(np.prod(tensor.dims[1:])), True
    else:
        if len(tensor.dims) != 2 or attribute(node, "transA", 0) or attribute(node, "alpha", 1.0) != 1.0:
            return None
        by_output ^= bool(attribute(node, "transB", 0))
        outputs, inputs = tensor.dims if by_output else reversed(tensor.dims)
    name = node.name or weight
    return GraphLayer(index, name, node.op_type, node.input[0], weight, int(outputs), int(inputs), by_output, through)


def constant_nodes(model: onnx.ModelProto) -> list[int]:
    """Return the indices of nodes that depend on initializers alone."""
    known = {tensor.name for tensor in model.graph.initializer}
    indices = []
    for index, node in enumerate(model.graph.node):
        random = node.op_type.startswith(("Random", "Multinomial", "Bernoulli"))
        if not random and known.issuperset(reads(node)):
            known.update(name for name in node.output if name)
            indices.append(index)
    return indices


def consumers(model: onnx.ModelProto) -> dict[str, list[int]]:
    """Return value -> indices of the nodes of the main graph that read it, in their subgraphs too."""
    readers: dict[str, list[int]] = {}
    for index, node in enumerate(model.graph.node):
        for name in sorted(set(reads(node))):
            readers.setdefault(name, []).append(index)
    return readers
