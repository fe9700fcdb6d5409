"""What of a graph gets few bits: weights of products, and tables that tokens are looked up in."""

from collections.abc import Collection
from dataclasses import dataclass, field

import onnx

from compression_runner.calibration.layers import FLOATS, Layer, attribute, consumers, find_layers
from compression_runner.formats.graph_weights import float_weights, weights_in_bodies


@dataclass(frozen=True)
class Choice:
    """What is quantized. `tables` maps the initializer of a table to the places of the look-ups that read it.

    A table in `tied` is the weight of a layer too. `left` names the weights that stay floats, with the reason.
    """

    layers: tuple[Layer, ...]
    tables: dict[str, list[int]]
    left: dict[str, str] = field(default_factory=dict)

    @property
    def tied(self) -> set[str]:
        """Tables that are the weights of a layer at the same time."""
        return {layer.weight for layer in self.layers} & self.tables.keys()

    @property
    def names(self) -> list[str]:
        """The initializers."""
        return list(dict.fromkeys([*(layer.weight for layer in self.layers), *self.tables]))

    def only(self, names: Collection[str]) -> "Choice":
        """These initializers; the others stay floats because the budget allows it."""
        left = self.left | {name: "the budget allows it" for name in self.names if name not in names}
        layers = tuple(layer for layer in self.layers if layer.weight in names)
        return Choice(layers, {name: places for name, places in self.tables.items() if name in names}, left)


def choose(model: onnx.ModelProto, *, embeddings: bool) -> Choice:
    """The layers and tables to quantize; without `embeddings` no table, and not the layer that gives the output."""
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
        elif any(model.graph.node[place].op_type != "Gather" for place in _strangers(name, layers, readers)):
            left[name] = "something else reads it"
    left |= dict.fromkeys(weights_in_bodies(model), "read in a body of an If or a Loop")
    known = {*(layer.weight for layer in layers), *tables, *left}
    left |= {tensor.name: "no MatMul, Gemm or look-up" for tensor in float_weights(model) if tensor.name not in known}
    return Choice(
        tuple(layer for layer in layers if layer.weight not in left),
        {name: places for name, places in tables.items() if name not in left},
        left,
    )


def _tables(model: onnx.ModelProto, readers: dict[str, list[int]]) -> dict[str, list[int]]:
    """Float matrices whose rows are looked up, and by which nodes."""
    found = {}
    for tensor in model.graph.initializer:
        if tensor.data_type not in FLOATS or len(tensor.dims) != 2:
            continue
        nodes = ((place, model.graph.node[place]) for place in readers.get(tensor.name, []))
        places = [
            place
            for place, node in nodes
            if node.op_type == "Gather" and node.input[0] == tensor.name and attribute(node, "axis", 0) == 0
        ]
        if places:
            found[tensor.name] = places
    return found


def _reason(model: onnx.ModelProto, layer: Layer, readers: dict[str, list[int]], tables: dict[str, list[int]]) -> str:
    """Why a layer's weight cannot be replaced; empty where it can."""
    node = model.graph.node[layer.index]
    if node.op_type == "Gemm" and len(node.input) > 2 and attribute(node, "beta", 1.0) != 1.0:
        return "Gemm with a beta"
    own = {layer.index if layer.through is None else layer.through, *tables.get(layer.weight, [])}
    others = [place for place in readers[layer.weight] if place not in own]
    # Other products with the same weight are layers themselves, and are replaced along with this one.
    if any(model.graph.node[place].op_type not in ("MatMul", "Gemm", "Transpose") for place in others):
        return "something else reads it"
    return ""


def _strangers(name: str, layers: list[Layer], readers: dict[str, list[int]]) -> list[int]:
    """The places of nodes that read an initializer, but for layers."""
    own = {place for layer in layers if layer.weight == name for place in (layer.index, layer.through)}
    return [place for place in readers[name] if place not in own]


def _gives_output(model: onnx.ModelProto, layer: Layer, readers: dict[str, list[int]], outputs: set[str]) -> bool:
    """Whether a layer's result, a bias added or not, is what the graph answers with."""
    result = model.graph.node[layer.index].output[0]
    added = [model.graph.node[place] for place in readers.get(result, [])]
    return result in outputs or any(node.op_type == "Add" and node.output[0] in outputs for node in added)
