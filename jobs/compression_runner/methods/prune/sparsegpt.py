"""SparseGPT: weights go one input after another, and those that are left make up for them (Frantar and Alistarh 2023,
arXiv:2301.00774).

It is the optimal brain surgeon's update, for all rows at once: what goes is chosen by w^2 / [H^-1]^2, where H = X^T X
of the calibration samples, a block of inputs at a time, with the weights as they are by then.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.calibration.inverse import inverse_factor
from compression_runner.methods.prune.patterns import GROUP, Mask, Pattern, lowest

BLOCK: Final = 128
DAMPING: Final = 0.01
Weights = NDArray[np.float32]


def prune(
    weights: Weights, hessian: NDArray[np.float64], sparsity: float, pattern: Pattern, damping: float = DAMPING
) -> Weights:
    """Weights (outputs, inputs) with a share at zero and the others changed; `hessian` is X^T X, (inputs, inputs).

    Unstructured, each block of inputs loses its share over all outputs together.
    """
    factor = inverse_factor(hessian, damping)
    diagonal = np.diag(factor).copy()
    left = weights.astype(np.float32)
    for start in range(0, left.shape[1], BLOCK):
        end = min(start + BLOCK, left.shape[1])
        block, errors = left[:, start:end].copy(), np.zeros((len(left), end - start), np.float32)
        goes = np.zeros(block.shape, np.bool_)
        if pattern == "unstructured":
            scores = np.square(block / diagonal[start:end])
            goes = lowest(scores.reshape(1, -1), sparsity, pattern).reshape(block.shape)
        for column in range(end - start):
            place = start + column
            if pattern != "unstructured" and column % GROUP == 0:
                goes[:, column : column + GROUP] = _group(block, diagonal, start, column, pattern)
            fixed = np.where(goes[:, column], np.float32(0), block[:, column])
            error = (block[:, column] - fixed) / diagonal[place]
            block[:, column] = fixed
            block[:, column + 1 :] -= np.outer(error, factor[place, place + 1 : end])
            errors[:, column] = error
        left[:, start:end] = block
        left[:, end:] -= errors @ factor[start:end, end:]
    return left


def _group(block: Weights, diagonal: NDArray[np.float32], start: int, column: int, pattern: Pattern) -> Mask:
    """Which of the next four weights of every row go."""
    part = slice(column, column + GROUP)
    return lowest(np.square(block[:, part] / diagonal[start:][part]), 0.5, pattern)
