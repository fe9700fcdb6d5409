"""Factorize a 1x1 convolution as a matrix by SVD, to which Tucker-2 and CP are equivalent here."""

import numpy as np

from compression_runner.methods.factorize.decomposition import Candidates, Factor, Floats
from compression_runner.methods.factorize.low_rank import LowRank


class Pointwise:
    """The kernel (outputs, inputs, 1...) as (rank, inputs, 1...) with the strides, and (outputs, rank, 1...)."""

    def __init__(self, weight: Floats) -> None:
        self._weight = weight
        self._low_rank = LowRank(weight.reshape(weight.shape[:2]).T)

    @property
    def dense(self) -> int:
        """The number of elements of the unchanged weight."""
        return self._weight.size

    @property
    def candidates(self) -> Candidates:
        """All ranks below full rank."""
        return self._low_rank.candidates

    def factors(self, ranks: tuple[int, ...]) -> tuple[Factor, ...]:
        """Return both kernels."""
        first, last = self._low_rank.factors(ranks)
        axes = tuple(range(self._weight.ndim - 2))
        return Factor(self._kernel(first.array), axes), Factor(self._kernel(last.array))

    def _kernel(self, matrix: Floats) -> Floats:
        return np.ascontiguousarray(matrix.T).reshape(*matrix.T.shape, *(1 for _ in self._weight.shape[2:]))
