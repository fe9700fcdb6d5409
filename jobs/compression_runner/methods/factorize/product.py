"""Multiply factors to the equivalent dense weight."""

from collections.abc import Sequence

import numpy as np

from compression_runner.methods.factorize.decomposition import Factor, Floats
from compression_runner.methods.factorize.model import Target


def product(target: Target, factors: Sequence[Factor]) -> Floats:
    """Return the weight in the shape of the target and the type of the factors."""
    if target.kind == "convolution":
        return _kernel(factors)
    first, second = (factor.array.astype(np.float64) for factor in factors)
    result: Floats = (first @ second).astype(factors[0].array.dtype)
    return result


def _kernel(factors: Sequence[Factor]) -> Floats:
    """Return the kernel of a sequence of convolutions, each spatial axis in at most one of them."""
    composed = factors[0].array.astype(np.float64)
    for factor in factors[1:]:
        kernel = factor.array.astype(np.float64)
        depthwise = kernel.shape[1] != composed.shape[0]
        composed = kernel * composed if depthwise else np.einsum("om...,mi...->oi...", kernel, composed)
    result: Floats = composed.astype(factors[0].array.dtype)
    return result
