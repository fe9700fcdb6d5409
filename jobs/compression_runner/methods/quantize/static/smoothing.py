"""SmoothQuant: move outliers of activations to weights, which have a scale per channel.

Source: Xiao et al. 2022, arXiv:2211.10438.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray

from compression_runner.calibration.feeding import Feed
from compression_runner.calibration.layers import (
    LayerGroup,
    consumers,
    find_layers,
    group_layers,
    set_weights,
    weight_matrix,
)
from compression_runner.calibration.scaling import Division, divide_inputs
from compression_runner.calibration.statistics import MASK, InputStatistics, token_rows
from compression_runner.methods.quantize.static.range_calibration import IntermediateValues

MIN_MAGNITUDE: Final = 1e-5
"""Smaller magnitudes count as this one."""


def migration(activations: NDArray[np.floating], weights: NDArray[np.floating], alpha: float) -> NDArray[np.float32]:
    """Return the scale that divides each input channel and multiplies its weights, shape (inputs,).

    The scale is activations^a / weights^(1 - a), with the largest magnitudes of each channel in `activations` and
    `weights`. It is 1 for a channel that is always zero, or whose weights are.
    """
    dead = (activations <= MIN_MAGNITUDE) | (weights <= MIN_MAGNITUDE)
    scale = np.maximum(activations, MIN_MAGNITUDE) ** alpha / np.maximum(weights, MIN_MAGNITUDE) ** (1.0 - alpha)
    return np.where(dead, 1.0, np.maximum(scale, MIN_MAGNITUDE)).astype(np.float32)


def smooth(model: onnx.ModelProto, feeds: Sequence[Feed], alpha: float) -> tuple[int, int]:
    """Scale inputs and weights of products whose weights have no other reader; outputs do not change.

    Return the number of scaled inputs, and the number of added operations. A normalization that produces an input for
    these products only absorbs the scale.
    """
    groups = [group for group in group_layers(find_layers(model)) if _is_smoothable(model, group)]
    maxima = input_maxima(model, groups, feeds)
    scaled = []
    for group in groups:
        matrices = [weight_matrix(model, layer) for layer in group.layers]
        greatest = np.max([np.abs(matrix).max(axis=0) for matrix in matrices], axis=0)
        scale = migration(maxima[group.source], greatest, alpha)
        for layer, matrix in zip(group.layers, matrices, strict=True):
            set_weights(model, layer, matrix * scale)
        scaled.append((group, scale))
    divisions = divide_inputs(model, scaled, "smooth")
    _insert(model, divisions)
    return len(scaled), len(divisions)


def _is_smoothable(model: onnx.ModelProto, group: LayerGroup) -> bool:
    readers = consumers(model)
    return all(
        layer.operator != "Conv" and layer.through is None and readers[layer.weight] == [layer.index]
        for layer in group.layers
    )


def input_maxima(
    model: onnx.ModelProto, groups: Sequence[LayerGroup], feeds: Sequence[Feed]
) -> dict[str, NDArray[np.float64]]:
    """Return the largest magnitude of each channel of the input of each group, without padding."""
    by_source = {group.source: InputStatistics(group.layers[0].inputs, wants_hessian=False) for group in groups}
    intermediate = IntermediateValues(model, by_source)
    for feed, values in zip(feeds, intermediate.values(feeds), strict=True):
        for name, value in values.items():
            by_source[name].add(token_rows(value, feed.get(MASK)))
    return {name: statistics.maximum for name, statistics in by_source.items()}


def _insert(model: onnx.ModelProto, divisions: Sequence[Division]) -> None:
    """Insert each division before the first of its layers, and let all of them read its result."""
    before = {min(division.layers): division for division in divisions}
    sources = {node_index: division.result for division in divisions for node_index in division.layers}
    nodes = []
    for index, node in enumerate(model.graph.node):
        if index in before:
            nodes.append(before[index].node)
        if index in sources:
            node.input[0] = sources[index]
        nodes.append(node)
    kept = [_copy(node) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    for division in divisions:
        kind = onnx.TensorProto.FLOAT
        model.graph.value_info.append(onnx.helper.make_tensor_value_info(division.result, kind, None))


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copied = onnx.NodeProto()
    copied.CopyFrom(node)
    return copied
