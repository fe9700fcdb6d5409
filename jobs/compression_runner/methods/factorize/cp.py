"""CP of a convolution: 1x1, a depthwise one for each axis of the kernel, 1x1 (Lebedev et al. 2014, arXiv:1412.6553)."""

from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.methods.factorize.decomposition import Candidates, Doubles, Factor, Floats

RANKS: Final = 6
"""How many ranks are tried: losses are known only once the factors are, so not every rank is."""
SWEEPS: Final = 20
"""Sweeps of least squares for each rank that is tried."""
MORE_SWEEPS: Final = 80
"""Further sweeps for the rank that is chosen; it loses less then."""
RIDGE: Final = 1e-6
"""Added to the diagonal of the normal equations, times its mean."""


class Canonical:
    """The kernel (outputs, inputs, ...) as a sum of `rank` products of one vector for each of its axes."""

    def __init__(self, weight: Floats, wanted: int | None = None) -> None:
        """`wanted` is the only rank to try; None tries several up to the largest that is smaller than the kernel."""
        self._weight = weight
        self._wanted = wanted
        self._found: dict[int, list[Doubles]] = {}

    @property
    def dense(self) -> int:
        """How many numbers the weight has as it is."""
        return self._weight.size

    @cached_property
    def candidates(self) -> Candidates:
        """The ranks that were tried; the factors lose a little less than is told."""
        each = sum(self._weight.shape)
        largest = (self._weight.size - 1) // each
        if self._wanted is not None:
            tried = [self._wanted] if self._wanted <= largest else []
        else:
            tried = sorted({max(1, round(largest * (step + 1) / RANKS)) for step in range(RANKS)} if largest else ())
        ranks = np.array(tried, np.int64)
        losses = np.array([self._loss(rank) for rank in tried], np.float64)
        return Candidates(ranks[:, None], ranks * each, losses)

    def factors(self, ranks: tuple[int, ...]) -> tuple[Factor, ...]:
        """Kernels: (rank, inputs, 1...), for each axis (rank, 1, ... size ...), and (outputs, rank, 1...)."""
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
        if rank not in self._found:
            self._found[rank] = canonical(
                self._weight.astype(np.float64), random_start(self._weight.shape, rank), SWEEPS
            )
        return self._found[rank]


def random_start(shape: tuple[int, ...], rank: int) -> list[Doubles]:
    """Vectors (size, rank) for each axis, the same each time."""
    random = np.random.default_rng(0)
    return [random.normal(size=(size, rank)) / size**0.5 for size in shape]


def canonical(tensor: Doubles, start: list[Doubles], sweeps: int) -> list[Doubles]:
    """Vectors (size, rank) for each axis whose products add up to nearly the tensor, by alternating least squares.

    tensorly's parafac does the same, but goes through the components one by one in Python, which takes minutes for the
    hundreds of components that a kernel needs. A little regularisation keeps components from growing apart.
    """
    factors, rank = list(start), start[0].shape[1]
    # Of the axes that a step sums over, the longest comes first: what is left is small.
    longest = [
        max(set(range(tensor.ndim)) - {axis}, key=lambda other: tensor.shape[other]) for axis in range(tensor.ndim)
    ]
    turned = {axis: np.ascontiguousarray(np.moveaxis(tensor, axis, -1)) for axis in set(longest)}
    for _ in range(sweeps):
        for axis in range(tensor.ndim):
            gram = np.prod([factor.T @ factor for other, factor in enumerate(factors) if other != axis], axis=0)
            gram += RIDGE * np.trace(gram) / rank * np.eye(rank)
            right = _summed(turned[longest[axis]], longest[axis], factors, axis)
            factors[axis] = np.linalg.solve(gram, right.T).T
        factors = _even(factors)
    return factors


def _summed(turned: Doubles, last: int, factors: list[Doubles], kept: int) -> Doubles:
    """The tensor times the vectors of every axis but `kept`, summed over those axes: (size of kept, rank).

    `turned` is the tensor with the axis `last` moved to the end.
    """
    result: Doubles = turned @ factors[last]
    place = 0
    for axis, factor in enumerate(factors):
        if axis == kept:
            place += 1
        elif axis != last:
            shape = [1] * result.ndim
            shape[place], shape[-1] = factor.shape
            result = (result * factor.reshape(shape)).sum(axis=place)
    return result


def _even(factors: list[Doubles]) -> list[Doubles]:
    """The same sum, its vectors equally long in each product, their largest number positive in all but the first."""
    tiny = np.finfo(np.float64).tiny
    lengths = [np.maximum(np.linalg.norm(factor, axis=0), tiny) for factor in factors]
    common = np.exp(sum(np.log(length) for length in lengths) / len(factors))
    signs = np.ones(factors[0].shape[1])
    evened: list[Doubles] = []
    for factor, length in zip(factors[1:], lengths[1:], strict=True):
        sign = _signs(factor)
        signs *= sign
        evened.append(factor * (sign * common / length))
    return [factors[0] * (signs * common / lengths[0]), *evened]


def _signs(factor: Doubles) -> NDArray[np.float64]:
    largest = np.abs(factor).argmax(axis=0)
    return np.where(factor[largest, np.arange(factor.shape[1])] < 0, -1.0, 1.0)
