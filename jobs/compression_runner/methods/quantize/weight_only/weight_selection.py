"""Select the weights of a graph to quantize: weights of products, and tables of token look-ups."""

from collections.abc import Collection
from dataclasses import dataclass, field

import onnx

from compression_runner.calibration.layers import FLOATS, GraphLayer, attribute, consumers, find_layers
from compression_runner.formats.graph_weights import float_weights, weights_in_bodies


@dataclass(frozen=True)
class WeightSelection:
    """The weights to quantize. `tables` maps the initializer of a table to the node indices of its look-ups.

    A table in `tied` is also the weight of a layer. `left` maps weights that stay floats to the reason.
    """

    layers: tuple[GraphLayer, ...]
    tables: dict[str, list[int]]
    left: dict[str, str] = field(default_factory=dict)

    @property
    def tied(self) -> set[str]:
        """Tables that are also the weights of a layer."""
        return {layer.weight for layer in self.layers} & self.tables.keys()

    @property
    def names(self) -> list[str]:
        """The names of the initializers."""
        return list(dict.fromkeys([*(layer.weight for layer in self.layers), *self.tables]))

    def only(self, names: Collection[str]) -> "WeightSelection":
        """Return a selection of these initializers; the others stay floats because the budget allows it."""
        left = self.left | {name: "the budget allows it" for name in self.names if name not in names}
        layers = tuple(layer for layer in self.layers if layer.weight in names)
        return WeightSelection(
            layers, {name: node_indices for name, node_indices in self.tables.items() if name in names}, left
        )


def select_weights(model: onnx.ModelProto, *, embeddings: bool) -> WeightSelection:
    """Select the layers and tables to quantize; without `embeddings`, no tables and not the output layer."""
    readers = consumers(model)
    outputs = {value.name for value in model.graph.output}
    layers = [layer for layer in find_layers(model) if layer.operator != "Conv"]
    tables = _tables(model, readers)
    left = {}
    for layer in layers:
        reason = _reason(model, layer, readers, tables)
        if reason:
            left[layer.weight] = reason
        elif not embeddings and (layer.weight in tables or _gives_output(model, layer, readers, outputs)):
            left[layer.weight] = "embeddings: false"
    for name in tables:
        if not embeddings:
            left[name] = "embeddings: false"
        elif any(
            model.graph.node[node_index].op_type != "Gather" for node_index in _other_readers(name, layers, readers)
        ):
            left[name] = "something else reads it"
    left |= dict.fromkeys(weights_in_bodies(model), "read in a body of an If or a Loop")
    known = {*(layer.weight for layer in layers), *tables, *left}
    left |= {tensor.name: "no MatMul, Gemm or look-up" for tensor in float_weights(model) if tensor.name not in known}
    return WeightSelection(
        tuple(layer for layer in layers if layer.weight not in left),
        {name: node_indices for name, node_indices in tables.items() if name not in left},
        left,
    )


def _tables(model: onnx.ModelProto, readers: dict[str, list[int]]) -> dict[str, list[int]]:
    """Return float matrices with row look-ups -> indices of the look-up nodes."""
    tables = {}
    for tensor in model.graph.initializer:
        if tensor.data_type not in FLOATS or len(tensor.dims) != 2:
            continue
        nodes = ((node_index, model.graph.node[node_index]) for node_index in readers.get(tensor.name, []))
        node_indices = [
            node_index
            for node_index, node in nodes
            if node.op_type == "Gather" and node.input[0] == tensor.name and attribute(node, "axis", 0) == 0
        ]
        if node_indices:
            tables[tensor.name] = node_indices
    return tables


def _reason(
    model: onnx.ModelProto, layer: GraphLayer, readers: dict[str, list[int]], tables: dict[str, list[int]]
) -> str:
    """Return the reason why the weight of a layer cannot be replaced; empty if it can."""
    node = model.graph.node[layer.index]
    if node.op_type == "Gemm" and len(node.input) > 2 and attribute(node, "beta", 1.0) != 1.0:
        return "Gemm with a beta"
    own = {layer.index if layer.through is None else layer.through, *tables.get(layer.weight, [])}
    others = [node_index for node_index in readers[layer.weight] if node_index not in own]
    # Other products with the same weight are layers, which are replaced together with this one.
    if any(model.graph.node[node_index].op_type not in ("MatMul", "Gemm", "Transpose") for node_index in others):
        return "something else reads it"
    return ""


def _other_readers(name: str, layers: list[GraphLayer], readers: dict[str, list[int]]) -> list[int]:
    """Return the indices of nodes other than layers that read an initializer."""
    own = {node_index for layer in layers if layer.weight == name for node_index in (layer.index, layer.through)}
    return [node_index for node_index in readers[name] if node_index not in own]


def _gives_output(model: onnx.ModelProto, layer: GraphLayer, readers: dict[str, list[int]], outputs: set[str]) -> bool:
    """Return whether the result of a layer, with or without a bias, is an output of the graph."""
    result = model.graph.node[layer.index].output[0]
    added = [model.graph.node[node_index] for node_index in readers.get(result, [])]
    return result in outputs or any(node.op_type == "Add" and node.output[0] in outputs for node in added)
