"""The best approximation of a matrix by a product of two matrices of a given rank (Eckart and Young 1936).

With known inputs X it is the best approximation of the layer's outputs: it minimizes ||X (W - A B)||, as SVD-LLM
(arXiv:2403.07378) does by whitening with the Cholesky factor of X^T X. Each output is weighted by the inverse of its
standard deviation: a few outputs of a transformer vary far more than the others and would use up the rank, although
the normalization after the layer evens them out. Singular values come from the eigenvalues of the smaller Gram matrix
in float64, which needs little memory for tables with many rows.
"""

from functools import cached_property
from typing import Final

import numpy as np
import scipy.linalg

from compression_runner.methods.factorize.decomposition import Candidates, Doubles, Factor, Floats, InputMoments

DAMPING: Final = 1e-3
"""Fraction of the mean diagonal added to the diagonal of X^T X, so that unseen directions keep some weight."""
LEAST_VARIANCE: Final = 0.01
"""Minimum variance of an output, as a fraction of the mean variance: limits the weight of nearly constant outputs."""
UNSEEN: Final = 0.5
"""Added to the read count of each row of a table (Krichevsky-Trofimov estimator), since other data reads other rows."""


class LowRank:
    """The weight W (inputs, outputs) as A (inputs, rank) times B (rank, outputs).

    Without known inputs, all inputs have equal weight.
    """

    def __init__(self, weight: Floats, inputs: InputMoments | None = None) -> None:
        self._weight = weight
        self._inputs = None if inputs is None else _damped(inputs)
        self._statistics = None if self._inputs is None else self._inputs.squares
        self._scale = np.ones(weight.shape[1]) if self._inputs is None else _scale(weight, self._inputs)

    @property
    def dense(self) -> int:
        """The number of elements of the unchanged weight."""
        return self._weight.size

    @cached_property
    def energies(self) -> Doubles:
        """Squared singular values, the largest first."""
        energies: Doubles = np.maximum(self._eigen[0], 0.0)
        return energies

    @property
    def candidates(self) -> Candidates:
        """All ranks below full rank."""
        ranks = np.arange(1, len(self.energies))
        return Candidates(ranks[:, None], ranks * sum(self._weight.shape), self._losses[:-1])

    def factors(self, ranks: tuple[int, ...]) -> tuple[Factor, ...]:
        """Return A and B in the type of the weight."""
        return tuple(Factor(array.astype(self._weight.dtype)) for array in self.matrices(*ranks))

    def matrices(self, rank: int) -> tuple[Doubles, Doubles]:
        """Return A and B with components of equal norm in both, and positive largest numbers in B."""
        vectors = self._eigen[1][:, :rank]
        if self._by_outputs:
            first, second = self._scaled @ vectors, vectors.T
        else:
            whitened, whiten = self._whitened
            first, second = _solve(whiten, vectors), vectors.T @ whitened
        return balanced(first, second / self._scale)

    @property
    def _scaled(self) -> Doubles:
        """The weight scaled to equal variances of the outputs."""
        return self._weight.astype(np.float64) * self._scale

    @cached_property
    def _losses(self) -> Doubles:
        """Lost energy as a fraction of the energy without that of the outputs' mean, which would dominate it."""
        kept = np.cumsum(self.energies)
        total = kept[-1]
        if self._inputs is not None:
            mean = self._inputs.sums @ self._scaled
            total -= float(mean @ mean) / self._inputs.count
        losses: Doubles = np.clip((kept[-1] - kept) / max(total, np.finfo(np.float64).tiny), 0.0, 1.0)
        return losses

    @property
    def _by_outputs(self) -> bool:
        inputs, outputs = self._weight.shape
        return bool(outputs <= inputs)

    @cached_property
    def _eigen(self) -> tuple[Doubles, Doubles]:
        """Eigenvalues and eigenvectors of the smaller Gram matrix of the whitened weight, the largest first."""
        if self._by_outputs:
            weight, statistics = self._scaled, self._statistics
            if statistics is None:
                weighted = weight
            else:
                weighted = statistics[:, None] * weight if statistics.ndim == 1 else statistics @ weight
            gram = weight.T @ weighted
        else:
            whitened, _ = self._whitened
            gram = whitened @ whitened.T
        values, vectors = scipy.linalg.eigh((gram + gram.T) / 2)
        eigen: tuple[Doubles, Doubles] = values[::-1], vectors[:, ::-1]
        return eigen

    @property
    def _whitened(self) -> tuple[Doubles, Doubles | None]:
        """S W and S, where S^T S are the statistics."""
        weight = self._scaled
        if self._statistics is None:
            return weight, None
        if self._statistics.ndim == 1:
            whiten = np.sqrt(self._statistics)
            return whiten[:, None] * weight, whiten
        upper = scipy.linalg.cholesky(self._statistics)
        return upper @ weight, upper


def balanced(first: Doubles, second: Doubles) -> tuple[Doubles, Doubles]:
    """Rescale A and B to equal norms of columns and rows, with a positive largest number in each row of B."""
    lengths = np.linalg.norm(first, axis=0), np.linalg.norm(second, axis=1)
    tiny = np.finfo(np.float64).tiny
    scale = np.sqrt(np.maximum(lengths[0], tiny) / np.maximum(lengths[1], tiny))
    largest = np.abs(second).argmax(axis=1)
    scale = np.where(second[np.arange(len(second)), largest] < 0, -scale, scale)
    return first / scale, second * scale[:, None]


def _solve(whiten: Doubles | None, vectors: Doubles) -> Doubles:
    if whiten is None:
        return vectors
    if whiten.ndim == 1:
        return vectors / whiten[:, None]
    solved: Doubles = scipy.linalg.solve_triangular(whiten, vectors)
    return solved


def _scale(weight: Floats, inputs: InputMoments) -> Doubles:
    """Return one over the standard deviation of each output (outputs,); ones for a table."""
    if inputs.squares.ndim == 1:
        return np.ones(weight.shape[1])
    matrix, mean = weight.astype(np.float64), inputs.sums / inputs.count
    covariance = inputs.squares / inputs.count - np.outer(mean, mean)
    variances = np.maximum((matrix * (covariance @ matrix)).sum(axis=0), 0.0)
    least = max(LEAST_VARIANCE * float(variances.mean()), np.finfo(np.float64).tiny)
    scale: Doubles = 1.0 / np.sqrt(np.maximum(variances, least))
    return scale


def _damped(inputs: InputMoments) -> InputMoments:
    squares = inputs.squares
    if squares.ndim == 1:
        return InputMoments(inputs.count + UNSEEN * len(squares), inputs.sums + UNSEEN, squares + UNSEEN)
    level = DAMPING * max(float(np.diagonal(squares).mean()), np.finfo(np.float64).tiny)
    return InputMoments(inputs.count, inputs.sums, squares + level * np.eye(len(squares)))
