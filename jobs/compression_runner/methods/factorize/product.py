"""Factors multiplied out again: the dense weight that computes the same."""

from collections.abc import Sequence

import numpy as np

from compression_runner.methods.factorize.decomposition import Factor, Floats
from compression_runner.methods.factorize.model import Target


def product(target: Target, factors: Sequence[Factor]) -> Floats:
    """The weight in the target's shape and the factors' type."""
    if target.kind == "convolution":
        return _kernel(factors)
    first, second = (factor.array.astype(np.float64) for factor in factors)
    result: Floats = (first @ second).astype(factors[0].array.dtype)
    return result


def _kernel(factors: Sequence[Factor]) -> Floats:
    """Convolutions one after the other, each axis of space in one of them at most, as one kernel."""
    whole = factors[0].array.astype(np.float64)
    for factor in factors[1:]:
        kernel = factor.array.astype(np.float64)
        depthwise = kernel.shape[1] != whole.shape[0]
        whole = kernel * whole if depthwise else np.einsum("om...,mi...->oi...", kernel, whole)
    result: Floats = whole.astype(factors[0].array.dtype)
    return result
