"""SparseGPT: prune weights input by input, and update the remaining weights to compensate (Frantar and Alistarh 2023,
arXiv:2301.00774).

This is the Optimal Brain Surgeon update for all rows at once. The score of a weight is w^2 / [H^-1]^2 with H = X^T X of
the calibration samples. Weights are selected a block of inputs at a time, with their updated values.
"""

from typing import Final

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from compression_runner.calibration.device import Array, offloaded
from compression_runner.calibration.inverse import inverse_factor
from compression_runner.methods.prune.patterns import GROUP, Pattern, lowest_scores

BLOCK: Final = 128
DAMPING: Final = 0.01
Weights = NDArray[np.float32]


def prune(
    weights: Weights, hessian: NDArray[np.float64], sparsity: float, pattern: Pattern, damping: float = DAMPING
) -> Weights:
    """Return weights (outputs, inputs) with a fraction at zero, the others updated; `hessian` is X^T X.

    With pattern unstructured, each block of inputs loses its fraction over all outputs together.
    """
    factor = inverse_factor(hessian, damping)
    pruned: Weights = _prune(weights.astype(np.float32), factor, sparsity=sparsity, pattern=pattern)
    return pruned


@offloaded
def _prune(weights: Array, factor: Array, *, sparsity: float, pattern: Pattern) -> Array:
    xp = array_namespace(weights)
    diagonal = xp.asarray(xp.linalg.diagonal(factor), copy=True)
    result = xp.asarray(weights, copy=True)
    for start in range(0, result.shape[1], BLOCK):
        end = min(start + BLOCK, result.shape[1])
        block = xp.asarray(result[:, start:end], copy=True)
        errors = xp.zeros_like(block)
        mask = xp.zeros_like(block, dtype=xp.bool)
        if pattern == "unstructured":
            scores = xp.square(block / diagonal[start:end])
            mask = lowest_scores(scores.reshape(1, -1), sparsity, pattern).reshape(block.shape)
        for column in range(end - start):
            row = start + column
            if pattern != "unstructured" and column % GROUP == 0:
                mask[:, column : column + GROUP] = _group(block, diagonal, start, column, pattern)
            fixed = xp.where(mask[:, column], xp.zeros_like(block[:, column]), block[:, column])
            error = (block[:, column] - fixed) / diagonal[row]
            block[:, column] = fixed
            block[:, column + 1 :] -= error[:, None] * factor[row, row + 1 : end]
            errors[:, column] = error
        result[:, start:end] = block
        result[:, end:] -= errors @ factor[start:end, end:]
    return result


def _group(block: Array, diagonal: Array, start: int, column: int, pattern: Pattern) -> Array:
    """Return the mask of the next four weights of every row to prune."""
    part = slice(column, column + GROUP)
    return lowest_scores((block[:, part] / diagonal[start:][part]) ** 2, 0.5, pattern)
