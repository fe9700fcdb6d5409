"""CP of a convolution: 1x1, one depthwise per kernel axis, 1x1 (Lebedev et al. 2014, arXiv:1412.6553)."""

from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.methods.factorize.decomposition import Candidates, Doubles, Factor, Floats

RANKS: Final = 6
"""Number of ranks to try: the loss of a rank is known only after its factors are computed."""
SWEEPS: Final = 20
"""Sweeps of alternating least squares for each rank to try."""
MORE_SWEEPS: Final = 80
"""Additional sweeps for the chosen rank."""
RIDGE: Final = 1e-6
"""Fraction of the mean diagonal that is added to the diagonal of the normal equations."""


class CanonicalPolyadic:
    """The kernel (outputs, inputs, ...) as a sum of `rank` outer products of one vector per axis."""

    def __init__(self, weight: Floats, requested_rank: int | None = None) -> None:
        """Try only `requested_rank`; None tries several ranks, up to the largest one smaller than the kernel."""
        self._weight = weight
        self._requested_rank = requested_rank
        self._vectors_by_rank: dict[int, list[Doubles]] = {}

    @property
    def dense(self) -> int:
        """The number of elements of the unchanged weight."""
        return self._weight.size

    @cached_property
    def candidates(self) -> Candidates:
        """The tried ranks; the final factors lose a little less than stated here."""
        each = sum(self._weight.shape)
        largest = (self._weight.size - 1) // each
        if self._requested_rank is not None:
            tried = [self._requested_rank] if self._requested_rank <= largest else []
        else:
            tried = sorted({max(1, round(largest * (step + 1) / RANKS)) for step in range(RANKS)} if largest else ())
        ranks = np.array(tried, np.int64)
        losses = np.array([self._loss(rank) for rank in tried], np.float64)
        return Candidates(ranks[:, None], ranks * each, losses)

    def factors(self, ranks: tuple[int, ...]) -> tuple[Factor, ...]:
        """Return kernels: (rank, inputs, 1...), per axis (rank, 1, ... size ...), and (outputs, rank, 1...)."""
        (rank,) = ranks
        outputs, inputs, *spatial = canonical(self._weight.astype(np.float64), self._vectors(rank), MORE_SWEEPS)
        ones = [1] * len(spatial)
        along = []
        for axis, vectors in enumerate(spatial):
            shape = [rank, 1, *ones]
            shape[2 + axis] = -1
            along.append(self._factor(vectors.T.reshape(shape), axis))
        return (self._factor(inputs.T.reshape(rank, -1, *ones)), *along, self._factor(outputs.reshape(-1, rank, *ones)))

    def _factor(self, kernel: Doubles, *axes: int) -> Factor:
        return Factor(kernel.astype(self._weight.dtype), axes)

    def _loss(self, rank: int) -> float:
        vectors = self._vectors(rank)
        letters = "oiabc"[: len(vectors)]
        product = np.einsum(",".join(f"{letter}r" for letter in letters) + f"->{letters}", *vectors, optimize=True)
        weight = self._weight.astype(np.float64)
        total = max(float((weight**2).sum()), np.finfo(np.float64).tiny)
        return min(1.0, float(((weight - product) ** 2).sum()) / total)

    def _vectors(self, rank: int) -> list[Doubles]:
        if rank not in self._vectors_by_rank:
            self._vectors_by_rank[rank] = canonical(
                self._weight.astype(np.float64), random_start(self._weight.shape, rank), SWEEPS
            )
        return self._vectors_by_rank[rank]


def random_start(shape: tuple[int, ...], rank: int) -> list[Doubles]:
    """Return vectors (size, rank) for each axis, from a fixed seed."""
    random = np.random.default_rng(0)
    return [random.normal(size=(size, rank)) / size**0.5 for size in shape]


def canonical(tensor: Doubles, start: list[Doubles], sweeps: int) -> list[Doubles]:
    """Return vectors (size, rank) per axis whose outer products approximate the tensor, by alternating least squares.

    tensorly's parafac does the same, but loops over components in Python, which takes minutes for the hundreds of
    components of a kernel. A small regularization keeps components from diverging.
    """
    factors, rank = list(start), start[0].shape[1]
    # A step sums over the longest axis first, so that intermediate results are small.
    longest = [
        max(set(range(tensor.ndim)) - {axis}, key=lambda other: tensor.shape[other]) for axis in range(tensor.ndim)
    ]
    moved_to_end = {axis: np.ascontiguousarray(np.moveaxis(tensor, axis, -1)) for axis in set(longest)}
    for _ in range(sweeps):
        for axis in range(tensor.ndim):
            gram = np.prod([factor.T @ factor for other, factor in enumerate(factors) if other != axis], axis=0)
            gram += RIDGE * np.trace(gram) / rank * np.eye(rank)
            right = _contract(moved_to_end[longest[axis]], longest[axis], factors, axis)
            factors[axis] = np.linalg.solve(gram, right.T).T
        factors = _balance(factors)
    return factors


def _contract(moved_to_end: Doubles, last: int, factors: list[Doubles], kept: int) -> Doubles:
    """Return the tensor times the vectors of all axes except `kept`, summed over those axes: (size of kept, rank).

    `moved_to_end` is the tensor with the axis `last` moved to the end.
    """
    result: Doubles = moved_to_end @ factors[last]
    position = 0
    for axis, factor in enumerate(factors):
        if axis == kept:
            position += 1
        elif axis != last:
            shape = [1] * result.ndim
            shape[position], shape[-1] = factor.shape
            result = (result * factor.reshape(shape)).sum(axis=position)
    return result


def _balance(factors: list[Doubles]) -> list[Doubles]:
    """Rescale vectors to equal length in each product, with a positive largest number in all but the first factor."""
    tiny = np.finfo(np.float64).tiny
    lengths = [np.maximum(np.linalg.norm(factor, axis=0), tiny) for factor in factors]
    common = np.exp(sum(np.log(length) for length in lengths) / len(factors))
    signs = np.ones(factors[0].shape[1])
    balanced: list[Doubles] = []
    for factor, length in zip(factors[1:], lengths[1:], strict=True):
        sign = _signs(factor)
        signs *= sign
        balanced.append(factor * (sign * common / length))
    return [factors[0] * (signs * common / lengths[0]), *balanced]


def _signs(factor: Doubles) -> NDArray[np.float64]:
    largest = np.abs(factor).argmax(axis=0)
    return np.where(factor[largest, np.arange(factor.shape[1])] < 0, -1.0, 1.0)
