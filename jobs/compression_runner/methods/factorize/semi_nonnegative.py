"""Semi-NMF: W = A B with A >= 0 and B of any sign (Ding, Li and Jordan 2010, Convex and Semi-NMF).

Weights have both signs, which a plain NMF (Lee and Seung 1999) cannot represent. Two of them, for W+ and W-, lose 2.3
to 6.6 times the energy of SVD at the same size on MiniLM. The best semi-NMF of rank r loses at most as much as SVD at
rank r-1, and at least as much as SVD at rank r. Gillis and Kumar (2014, arXiv:1410.7220, theorem 2.1) give a closed
form with the loss of SVD at rank r-1.
"""

import numpy as np

from compression_runner.methods.factorize.decomposition import Candidates, Doubles, Factor, Floats, InputMoments
from compression_runner.methods.factorize.low_rank import LowRank


class SemiNonnegative:
    """The weight W (inputs, outputs) as A (inputs, rank) without negative numbers times B (rank, outputs)."""

    def __init__(self, weight: Floats, inputs: InputMoments | None = None) -> None:
        self._low_rank = LowRank(weight, inputs)
        self._type = weight.dtype

    @property
    def dense(self) -> int:
        """The number of elements of the unchanged weight."""
        return self._low_rank.dense

    @property
    def candidates(self) -> Candidates:
        """All ranks from 2; each has the loss of an unrestricted rank one lower."""
        free = self._low_rank.candidates
        step = int(free.sizes[0]) if len(free.sizes) else 0
        return Candidates(free.ranks + 1, free.sizes + step, free.losses)

    def factors(self, ranks: tuple[int, ...]) -> tuple[Factor, ...]:
        """Return A and B in the type of the weight."""
        (rank,) = ranks
        return tuple(Factor(array.astype(self._type)) for array in nonnegative(*self._low_rank.matrices(rank - 1)))


def nonnegative(first: Doubles, second: Doubles) -> tuple[Doubles, Doubles]:
    """Return the same product with one more component and no negative number in the first factor.

    Each row of A is raised by x >= 0, the magnitude of its most negative number; another column x compensates:
    A B = (A + x 1^T) B + x (-1^T B).
    """
    lift = np.maximum(0.0, -first.min(axis=1, keepdims=True))
    return np.hstack([first + lift, lift]), np.vstack([second, -second.sum(axis=0, keepdims=True)])
