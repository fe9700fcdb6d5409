"""Wanda: a weight matters as much as its magnitude times the norm of what it multiplies (Sun et al. 2023,
arXiv:2306.11695)."""

import numpy as np
from numpy.typing import NDArray

from compression_runner.methods.prune.patterns import Pattern, lowest

Weights = NDArray[np.float32]


def prune(weights: Weights, norms: NDArray[np.floating], sparsity: float, pattern: Pattern) -> Weights:
    """Weights (outputs, inputs) without those that matter least in their row; `norms` of inputs has shape (inputs,)."""
    goes = lowest(np.abs(weights) * norms.astype(np.float32), sparsity, pattern)
    return np.where(goes, np.float32(0), weights)
