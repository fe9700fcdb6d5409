"""Prune the layers of a graph by their inputs on calibration samples, sequentially."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import onnx
from onnx import numpy_helper

from compression_runner.calibration.collection import collect_statistics
from compression_runner.calibration.device import gpu_watched
from compression_runner.calibration.feeding import feeds
from compression_runner.calibration.layers import (
    GraphLayer,
    LayerGroup,
    consumers,
    find_layers,
    group_layers,
    set_weights,
    tensor_of,
    weight_matrix,
)
from compression_runner.calibration.naming import weight_names
from compression_runner.calibration.sequential import SequentialCalibration
from compression_runner.calibration.statistics import InputStatistics
from compression_runner.dataset import SampleSet
from compression_runner.formats.graph_weights import WEIGHTS, sizes, weights_in_bodies
from compression_runner.methods.prune import sparsegpt, wanda
from compression_runner.methods.prune.excluding import exclusion
from compression_runner.methods.prune.patterns import require_fit
from compressionjob.methods.prune import Prune

MAX_LISTED: Final = 20
"""Maximum number of skipped weights listed by name."""


@dataclass(frozen=True)
class Prunable:
    """The layers to prune, and the names of skipped weights."""

    layers: list[GraphLayer]
    left: list[str]
    names: Mapping[str, str]
    """Initializer -> readable name."""
    left_bytes: int = 0

    def details(self) -> dict[str, Any]:
        """Return the stage details of the skipped weights."""
        return {"left": self.left[:MAX_LISTED], "leftBytes": self.left_bytes} if self.left else {}

    def require_fit(self, field: str) -> None:
        """Raise BadRecipe, with the layer, if the 2:4 pattern does not fit."""
        for layer in self.layers:
            require_fit(layer.name, self.names[layer.weight], layer.inputs, field)


def prunable(model: onnx.ModelProto, parameters: Prune, field: str, trained: frozenset[str] | None = None) -> Prunable:
    """Select the layers to prune, and list the skipped weights.

    Skipped are excluded weights; weights read by bodies of If and Loop; tables of look-ups, even if a layer uses them
    too, since a look-up has no activations; grouped convolutions, which have few weights; and, if `trained` is given,
    weights that are not parameters (such as the filters of a spectrum).

    Raises BadRecipe for an `exclude` that matches no layer.
    """
    readers = consumers(model)
    nodes = model.graph.node
    layers = find_layers(model)
    tables = {
        name
        for name, node_indices in readers.items()
        if any(nodes[node_index].op_type == "Gather" for node_index in node_indices)
    }
    selected = [
        layer for layer in layers if layer.weight not in tables and (trained is None or layer.weight in trained)
    ]
    names = weight_names(model, list(dict.fromkeys(layer.weight for layer in selected)))
    excluded = exclusion(parameters, names.values(), field)
    selected = [layer for layer in selected if not excluded(names[layer.weight])]
    to_prune, multiplied = {layer.weight for layer in selected}, {layer.weight for layer in layers}
    matrices = [tensor.name for tensor in model.graph.initializer if len(tensor.dims) >= 2]
    inner = weights_in_bodies(model)
    left = [
        name
        for name in matrices
        if name in multiplied
        or name in inner
        or any(nodes[node_index].op_type in WEIGHTS for node_index in readers.get(name, []))
        if name not in to_prune
    ]
    return Prunable(selected, [names.get(name, name) for name in left], names, sum(sizes(model, left).values()))


def prune(
    model: onnx.ModelProto,
    selected: Prunable,
    parameters: Prune,
    samples: SampleSet,
    advance: Callable[[float], None],
) -> Mapping[str, Any]:
    """Set weights of the model to zero, and return details.

    Raises UnsupportedGraph, and the errors of onnxruntime if it cannot run a part of the graph.
    """
    groups = group_layers(selected.layers)
    batches = feeds(model, samples) if groups else []
    pruned: set[str] = set()
    rows = 0
    with gpu_watched() as watch:
        for index, (group, inputs) in enumerate(SequentialCalibration(model, batches).groups(groups)):
            statistics = collect_statistics(model, group, inputs, batches, hessian=parameters.method == "sparsegpt")
            rows = max(rows, statistics.rows)
            for layer in _first_uses(group, pruned):
                set_weights(model, layer, _pruned(weight_matrix(model, layer), statistics, parameters))
            watch.step()
            advance((index + 1) / len(groups))
        gpu = watch.to_report()
    return _details(model, sorted(pruned), rows) | selected.details() | ({"gpu": gpu} if gpu else {})


def _pruned(weights: sparsegpt.Weights, statistics: InputStatistics, parameters: Prune) -> sparsegpt.Weights:
    hessian = statistics.hessian
    if hessian is None:
        return wanda.prune(weights, statistics.norms, parameters.sparsity, parameters.pattern)
    return sparsegpt.prune(weights, hessian, parameters.sparsity, parameters.pattern)


def _first_uses(group: LayerGroup, pruned: set[str]) -> list[GraphLayer]:
    """Return the layers of a group whose weights no earlier layer has."""
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
