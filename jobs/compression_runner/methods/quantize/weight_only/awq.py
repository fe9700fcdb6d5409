"""AWQ: scale up the weights of active channels before rounding, and scale down their inputs (Lin et al. 2023,
arXiv:2306.00978).

The product does not change, but the rounding error of these channels gets smaller. The scale is the mean activation to
a power. A search chooses the power with the least error of the layers' outputs on calibration samples.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from compression_runner.calibration.device import Array, inner_product, offloaded
from compression_runner.calibration.statistics import InputStatistics
from compression_runner.methods.quantize.weight_only.grid import Codes, Grid, Layout, Weights, decode, round_nearest

POWERS: Final = tuple(step / 20 for step in range(20))
MIN_ACTIVITY: Final = 1e-4
"""Smaller mean activations count as this one."""

Scale = NDArray[np.float32]


def find_scale(layers: Sequence[tuple[Weights, Layout]], statistics: InputStatistics) -> Scale | None:
    """Return the scale of the input channels of layers (outputs, inputs) with a common input, shape (inputs,).

    Return None if no scale lowers the error. Raises ValueError without a Hessian.
    """
    if statistics.hessian is None:
        raise ValueError("AWQ needs X^T X for the error of the outputs")
    hessian = statistics.hessian.astype(np.float32)
    least_error, best = np.inf, None
    for power in POWERS:
        scale = np.maximum(statistics.means, MIN_ACTIVITY) ** power
        scale = (scale / np.sqrt(scale.max() * scale.min())).astype(np.float32)
        error = sum(_rounding_error(weights, scale, hessian, layout=layout) for weights, layout in layers)
        if error < least_error:
            least_error, best = error, scale if power else None
    return best


def quantize(weights: Weights, hessian: NDArray[np.float64], scale: Scale | None, layout: Layout) -> tuple[Codes, Grid]:
    """Return codes (outputs, inputs) and grid of the scaled weights, with ranges clipped if that lowers the error."""
    scaled = weights if scale is None else weights * scale
    importance = np.diag(hessian) if scale is None else np.diag(hessian) / np.square(scale)
    return round_nearest(scaled, layout, importance)


def output_error(weights: Weights, rounded: Weights, hessian: NDArray[np.float32]) -> float:
    """Return the squared error of the outputs, ||X (W - Q)^T||^2 = trace((W - Q) H (W - Q)^T)."""
    xp = array_namespace(weights)
    difference = xp.astype(weights - rounded, xp.float32)
    return inner_product(difference @ hessian, difference)


@offloaded
def _rounding_error(weights: Array, scale: Array, hessian: Array, *, layout: Layout) -> float:
    return output_error(weights, decode(*round_nearest(weights * scale, layout)) / scale, hessian)
