"""Prunes the layers of a graph by what they see on calibration samples, each after those before it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import onnx
from onnx import numpy_helper

from compression_runner.calibration.feeding import feeds
from compression_runner.calibration.layers import (
    Layer,
    LayerGroup,
    consumers,
    find_layers,
    group_layers,
    set_weights,
    tensor_of,
    weight_matrix,
)
from compression_runner.calibration.naming import weight_names
from compression_runner.calibration.observing import observe
from compression_runner.calibration.walking import Walk
from compression_runner.dataset import SampleSet
from compression_runner.formats.graph_weights import WEIGHTS, sizes, weights_in_bodies
from compression_runner.methods.prune import sparsegpt, wanda
from compression_runner.methods.prune.excluding import exclusion
from compression_runner.methods.prune.patterns import require_fit
from compressionjob.methods.prune import Prune

TOLD: Final = 20
"""Weights that are left alone are told by name up to so many."""


@dataclass(frozen=True)
class Prunable:
    """The layers to prune, and the names of weights that are left alone."""

    layers: list[Layer]
    left: list[str]
    names: Mapping[str, str]
    """Initializer -> what people call it."""
    left_bytes: int = 0

    def details(self) -> dict[str, Any]:
        """What the stage says of the weights that are left alone."""
        return {"left": self.left[:TOLD], "leftBytes": self.left_bytes} if self.left else {}

    def require_fit(self) -> None:
        """Raises DoesNotFit naming a layer where the 2:4 pattern cannot be."""
        for layer in self.layers:
            require_fit(layer.name, self.names[layer.weight], layer.inputs)


def prunable(model: onnx.ModelProto, parameters: Prune, field: str, learned: frozenset[str] | None = None) -> Prunable:
    """The layers to prune, and the names of weights that are left alone.

    Left alone are what the stage excludes; weights that bodies of If and Loop read; tables that rows are looked up in,
    a layer's weight or not, since a look-up has no activations to go by; convolutions in groups, which have few
    weights; and what is not among `learned`, where that is known (the filters that make a spectrum).

    Raises BadRecipe for an `exclude` that fits no layer.
    """
    readers = consumers(model)
    nodes = model.graph.node
    layers = find_layers(model)
    tables = {name for name, places in readers.items() if any(nodes[place].op_type == "Gather" for place in places)}
    chosen = [layer for layer in layers if layer.weight not in tables and (learned is None or layer.weight in learned)]
    names = weight_names(model, list(dict.fromkeys(layer.weight for layer in chosen)))
    excluded = exclusion(parameters, names.values(), field)
    chosen = [layer for layer in chosen if not excluded(names[layer.weight])]
    going, multiplied = {layer.weight for layer in chosen}, {layer.weight for layer in layers}
    matrices = [tensor.name for tensor in model.graph.initializer if len(tensor.dims) >= 2]
    inner = weights_in_bodies(model)
    left = [
        name
        for name in matrices
        if name in multiplied
        or name in inner
        or any(nodes[place].op_type in WEIGHTS for place in readers.get(name, []))
        if name not in going
    ]
    return Prunable(chosen, [names.get(name, name) for name in left], names, sum(sizes(model, left).values()))


def prune(
    model: onnx.ModelProto,
    chosen: Prunable,
    parameters: Prune,
    samples: SampleSet,
    advance: Callable[[float], None],
) -> Mapping[str, Any]:
    """Sets weights to zero in the model, and tells how many.

    Raises DoesNotFit, UnsupportedGraph, and onnxruntime's errors where it cannot run a part of the graph.
    """
    if parameters.pattern == "2:4":
        chosen.require_fit()
    groups = group_layers(chosen.layers)
    batches = feeds(model, samples) if groups else []
    pruned: set[str] = set()
    rows = 0
    for index, (group, inputs) in enumerate(Walk(model, batches).groups(groups)):
        seen = observe(model, group, inputs, batches, hessian=parameters.method == "sparsegpt")
        rows = max(rows, seen.rows)
        for layer in _once(group, pruned):
            weights = weight_matrix(model, layer)
            if seen.hessian is not None:
                result = sparsegpt.prune(weights, seen.hessian, parameters.sparsity, parameters.pattern)
            else:
                result = wanda.prune(weights, seen.norms, parameters.sparsity, parameters.pattern)
            set_weights(model, layer, result)
        advance((index + 1) / len(groups))
    return _details(model, sorted(pruned), rows) | chosen.details()


def _once(group: LayerGroup, pruned: set[str]) -> list[Layer]:
    """The layers of a group whose weights no earlier layer had."""
    fresh = []
    for layer in group.layers:
        if layer.weight not in pruned:
            pruned.add(layer.weight)
            fresh.append(layer)
    return fresh


def _details(model: onnx.ModelProto, pruned: list[str], rows: int) -> dict[str, Any]:
    weights = zeros = 0
    for name in pruned:
        array = numpy_helper.to_array(tensor_of(model, name))
        weights += array.size
        zeros += int(array.size - (array != 0).sum())
    return {
        "tensors": len(pruned),
        "weights": weights,
        "sparsity": round(zeros / weights, 6) if weights else 0.0,
        "calibrationRows": rows,
    }
