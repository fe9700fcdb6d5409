"""AWQ: channels that are much active are scaled up before rounding, and their input down (Lin et al. 2023,
arXiv:2306.00978).

The product stays the same, but the rounding error of those channels gets smaller. The scale is the mean activation to a
power, which is found by trying: the one with the least error of the layers' outputs on the calibration samples.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.calibration.statistics import InputStatistics
from compression_runner.methods.quantize.weight_only.grid import Codes, Grid, Layout, Weights, decode, round_nearest

POWERS: Final = tuple(step / 20 for step in range(20))
FAINTEST: Final = 1e-4
"""Channels that are less active than this count as if they were so."""

Scale = NDArray[np.float32]


def find_scale(layers: Sequence[tuple[Weights, Layout]], seen: InputStatistics) -> Scale | None:
    """What the input channels of layers (outputs, inputs) that share an input are scaled by, shape (inputs,).

    None where no scale lowers the error. Raises ValueError without a Hessian.
    """
    if seen.hessian is None:
        raise ValueError("AWQ needs X^T X to know the error of the outputs")
    hessian = seen.hessian.astype(np.float32)
    best, found = np.inf, None
    for power in POWERS:
        scale = np.maximum(seen.means, FAINTEST) ** power
        scale = (scale / np.sqrt(scale.max() * scale.min())).astype(np.float32)
        error = sum(output_error(weights, _rounded(weights, scale, layout), hessian) for weights, layout in layers)
        if error < best:
            best, found = error, scale if power else None
    return found


def quantize(weights: Weights, hessian: NDArray[np.float64], scale: Scale | None, layout: Layout) -> tuple[Codes, Grid]:
    """Codes (outputs, inputs) and grid of the scaled weights, whose ranges are cut where that lowers the error."""
    scaled = weights if scale is None else weights * scale
    importance = np.diag(hessian) if scale is None else np.diag(hessian) / np.square(scale)
    return round_nearest(scaled, layout, importance)


def output_error(weights: Weights, rounded: Weights, hessian: NDArray[np.float32]) -> float:
    """The squared error of the outputs, ||X (W - Q)^T||^2 = trace((W - Q) H (W - Q)^T)."""
    difference = (weights - rounded).astype(np.float32)
    return float(np.einsum("oi,oi->", difference @ hessian, difference, dtype=np.float64))


def _rounded(weights: Weights, scale: Scale, layout: Layout) -> Weights:
    scaled = weights * scale
    return decode(*round_nearest(scaled, layout)) / scale
