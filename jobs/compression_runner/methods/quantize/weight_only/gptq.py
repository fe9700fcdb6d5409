"""GPTQ: weights are rounded one input after another, and the others take over the error (Frantar et al. 2022,
arXiv:2210.17323).

It lowers the error of the layer's output on the calibration samples, ||X W^T - X Q^T||^2, which depends on the samples
through H = X^T X alone. The inverse of H comes from a Cholesky decomposition, as in the paper; grids are fitted before
the first rounding, so that the inputs may go in any order (the paper's code calls it static groups).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.calibration.inverse import inverse_factor
from compression_runner.methods.quantize.weight_only.grid import Codes, Grid, Layout, Weights, round_nearest, row_parts

BLOCK: Final = 128
DAMPING: Final = 0.01


def quantize(
    weights: Weights, hessian: NDArray[np.float64], layout: Layout, damping: float = DAMPING
) -> tuple[Codes, Grid]:
    """Codes (outputs, inputs) and their grid for weights (outputs, inputs) and X^T X (inputs, inputs).

    `damping` is added to the Hessian's diagonal as a part of its mean. Inputs go from the most active to the least.
    """
    _, grid = round_nearest(weights, layout, np.diag(hessian))
    order = np.argsort(-np.diag(hessian), kind="stable")
    factor = inverse_factor(hessian[np.ix_(order, order)], damping)
    codes = np.empty(weights.shape, np.uint8)
    for part in row_parts(len(weights)):
        # Outputs do not depend on one another.
        scales, zeros = (values[:, order] for values in grid.rows(part).expanded(weights.shape[1]))
        left = weights[part][:, order].astype(np.float32)
        codes[part, order] = _round(left, scales, zeros, factor, layout.top)
    return codes, grid


def _round(
    left: NDArray[np.float32],
    scales: NDArray[np.float32],
    zeros: NDArray[np.float32],
    factor: NDArray[np.float32],
    top: int,
) -> Codes:
    """Codes of weights (outputs, inputs), which are changed on the way; all in the order of rounding."""
    codes = np.zeros(left.shape, np.uint8)
    for start in range(0, left.shape[1], BLOCK):
        end = min(start + BLOCK, left.shape[1])
        block, errors = left[:, start:end].copy(), np.zeros((len(left), end - start), np.float32)
        for column in range(end - start):
            place = start + column
            scale, zero = scales[:, place], zeros[:, place]
            code = np.clip(np.rint(block[:, column] / scale) + zero, 0, top)
            codes[:, place] = code
            error = (block[:, column] - (code - zero) * scale) / factor[place, place]
            block[:, column + 1 :] -= np.outer(error, factor[place, place + 1 : end])
            errors[:, column] = error
        left[:, end:] -= errors @ factor[start:end, end:]
    return codes
