"""Collect input statistics of a group of layers over all batches."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from compression_runner.calibration.feeding import Feed
from compression_runner.calibration.layers import LayerGroup, tensor_of
from compression_runner.calibration.patches import patch_rows
from compression_runner.calibration.statistics import MASK, InputStatistics, token_rows


def collect_statistics(
    model: onnx.ModelProto,
    group: LayerGroup,
    inputs: Sequence[NDArray[np.generic]],
    feeds: Sequence[Feed],
    *,
    hessian: bool = True,
) -> InputStatistics:
    """Return statistics of the input rows of a group: tokens without padding, or patches of a convolution."""
    layer = group.layers[0]
    statistics = InputStatistics(layer.inputs, hessian)
    for feed, values in zip(feeds, inputs, strict=True):
        if layer.operator == "Conv":
            for rows in patch_rows(values, model.graph.node[layer.index], tensor_of(model, layer.weight).dims[2:]):
                statistics.add(rows)
        else:
            statistics.add(token_rows(values, feed.get(MASK)))
    return statistics
