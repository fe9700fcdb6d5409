"""Statistics of what a group of layers multiplies, from its input for every batch."""

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from compression_runner.calibration.feeding import Feed
from compression_runner.calibration.layers import LayerGroup, tensor_of
from compression_runner.calibration.patches import patch_rows
from compression_runner.calibration.statistics import MASK, InputStatistics, token_rows


def observe(
    model: onnx.ModelProto,
    group: LayerGroup,
    inputs: Sequence[NDArray[np.generic]],
    feeds: Sequence[Feed],
    *,
    hessian: bool = True,
) -> InputStatistics:
    """What the layers of a group see: tokens without padding, or the patches of a convolution."""
    layer = group.layers[0]
    seen = InputStatistics(layer.inputs, hessian)
    for feed, values in zip(feeds, inputs, strict=True):
        if layer.operator == "Conv":
            for rows in patch_rows(values, model.graph.node[layer.index], tensor_of(model, layer.weight).dims[2:]):
                seen.add(rows)
        else:
            seen.add(token_rows(values, feed.get(MASK)))
    return seen
