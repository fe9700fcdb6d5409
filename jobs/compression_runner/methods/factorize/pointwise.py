"""A 1x1 convolution is a matrix: two of them by singular values, which is what Tucker-2 and CP come to there."""

import numpy as np

from compression_runner.methods.factorize.decomposition import Candidates, Factor, Floats
from compression_runner.methods.factorize.low_rank import LowRank


class Pointwise:
    """The kernel (outputs, inputs, 1...) as (rank, inputs, 1...), which has the strides, and (outputs, rank, 1...)."""

    def __init__(self, weight: Floats) -> None:
        self._weight = weight
        self._low_rank = LowRank(weight.reshape(weight.shape[:2]).T)

    @property
    def dense(self) -> int:
        """How many numbers the weight has as it is."""
        return self._weight.size

    @property
    def candidates(self) -> Candidates:
        """Every rank below the full one."""
        return self._low_rank.candidates

    def factors(self, ranks: tuple[int, ...]) -> tuple[Factor, ...]:
        """Both kernels."""
        first, last = self._low_rank.factors(ranks)
        axes = tuple(range(self._weight.ndim - 2))
        return Factor(self._kernel(first.array), axes), Factor(self._kernel(last.array))

    def _kernel(self, matrix: Floats) -> Floats:
        return np.ascontiguousarray(matrix.T).reshape(*matrix.T.shape, *(1 for _ in self._weight.shape[2:]))
