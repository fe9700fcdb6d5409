"""GPTQ: round weights input by input, and update the remaining weights to compensate (Frantar et al. 2022,
arXiv:2210.17323).

This lowers the error of the layer's output on calibration samples, ||X W^T - X Q^T||^2, which depends on the samples
through H = X^T X alone. The inverse of H comes from a Cholesky decomposition, as in the paper. Grids are fitted before
the first rounding, so that the inputs can be in any order (static groups in the code of the paper).
"""

from typing import Final

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from compression_runner.calibration.device import Array, offloaded
from compression_runner.calibration.inverse import inverse_factor
from compression_runner.methods.quantize.weight_only.grid import Codes, Grid, Layout, Weights, round_nearest, row_parts

BLOCK: Final = 128
DAMPING: Final = 0.01


def quantize(
    weights: Weights, hessian: NDArray[np.float64], layout: Layout, damping: float = DAMPING
) -> tuple[Codes, Grid]:
    """Return codes (outputs, inputs) and their grid for weights (outputs, inputs) and X^T X (inputs, inputs).

    `damping`, a fraction of the mean diagonal, is added to the diagonal of the Hessian. Inputs are rounded in order of
    decreasing activity.
    """
    _, grid = round_nearest(weights, layout, np.diag(hessian))
    order = np.argsort(-np.diag(hessian), kind="stable")
    factor = inverse_factor(hessian[np.ix_(order, order)], damping)
    codes = np.empty(weights.shape, np.uint8)
    for part in row_parts(len(weights)):
        # Outputs are independent.
        scales, zeros = (values[:, order] for values in grid.rows(part).expanded(weights.shape[1]))
        remaining = weights[part][:, order].astype(np.float32)
        codes[part, order] = _round(remaining, scales, zeros, factor, layout.top)
    return codes, grid


@offloaded
def _round(weights: Array, scales: Array, zeros: Array, factor: Array, top: int) -> Array:
    """Return codes of weights (outputs, inputs); all in the order of rounding."""
    xp = array_namespace(weights)
    remaining = xp.asarray(weights, copy=True)
    codes = xp.zeros_like(remaining, dtype=xp.uint8)
    for start in range(0, remaining.shape[1], BLOCK):
        end = min(start + BLOCK, remaining.shape[1])
        block = xp.asarray(remaining[:, start:end], copy=True)
        errors = xp.zeros_like(block)
        for column in range(end - start):
            row = start + column
            scale, zero = scales[:, row], zeros[:, row]
            code = xp.clip(xp.round(block[:, column] / scale) + zero, 0, top)
            codes[:, row] = code
            error = (block[:, column] - (code - zero) * scale) / factor[row, row]
            block[:, column + 1 :] -= error[:, None] * factor[row, row + 1 : end]
            errors[:, column] = error
        remaining[:, end:] -= errors @ factor[start:end, end:]
    return codes
