"""Wanda: the score of a weight is its magnitude times the norm of its input (Sun et al. 2023, arXiv:2306.11695)."""

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from compression_runner.calibration.device import Array, offloaded
from compression_runner.methods.prune.patterns import Pattern, lowest_scores

Weights = NDArray[np.float32]


def prune(weights: Weights, norms: NDArray[np.floating], sparsity: float, pattern: Pattern) -> Weights:
    """Return weights (outputs, inputs) with the lowest scores of each row at zero; `norms` has shape (inputs,)."""
    pruned: Weights = _prune(weights, norms.astype(np.float32), sparsity=sparsity, pattern=pattern)
    return pruned


@offloaded
def _prune(weights: Array, norms: Array, *, sparsity: float, pattern: Pattern) -> Array:
    xp = array_namespace(weights)
    mask = lowest_scores(xp.abs(weights) * norms, sparsity, pattern)
    return xp.where(mask, xp.zeros_like(weights), weights)
