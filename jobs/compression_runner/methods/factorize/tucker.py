"""Tucker-2 of a convolution: 1x1 to fewer channels, a smaller kernel, 1x1 to all channels (arXiv:1511.06530)."""

from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.methods.factorize.decomposition import Candidates, Doubles, Factor, Floats

STEPS: Final = 64
"""Maximum number of ranks to consider for each side, evenly spaced."""
SWEEPS: Final = 50


class Tucker:
    """The kernel (outputs, inputs, ...) with a rank for its outputs and one for its inputs; full rank needs no 1x1.

    Losses are those of the truncated higher-order SVD. The factors are refined by alternating least squares (tensorly's
    partial_tucker), and lose no more.
    """

    def __init__(self, weight: Floats, requested_rank: int | None = None) -> None:
        """Consider only `requested_rank`; None considers many."""
        self._weight = weight
        self._requested_rank = requested_rank

    @property
    def dense(self) -> int:
        """The number of elements of the unchanged weight."""
        return self._weight.size

    @cached_property
    def candidates(self) -> Candidates:
        """Pairs (rank of outputs, rank of inputs), except both full."""
        outputs, inputs, area = self._shape
        tensor = self._weight.reshape(outputs, inputs, area).astype(np.float64)
        core = np.einsum("oia,op,iq->pqa", tensor, _basis(tensor, 0), _basis(tensor, 1), optimize=True)
        kept = np.cumsum(np.cumsum((core**2).sum(axis=2), axis=0), axis=1)
        pairs = [(o, i) for o in self._tried(outputs) for i in self._tried(inputs) if (o, i) != (outputs, inputs)]
        ranks = np.array(pairs, np.int64).reshape(-1, 2)
        total = max(float(kept[-1, -1]), np.finfo(np.float64).tiny)
        losses = np.clip(1.0 - kept[ranks[:, 0] - 1, ranks[:, 1] - 1] / total, 0.0, 1.0)
        return Candidates(ranks, self._sizes(ranks), losses)

    def factors(self, ranks: tuple[int, ...]) -> tuple[Factor, ...]:
        """Return the kernels: first (rank, inputs, 1...), core, last (outputs, rank, 1...).

        A side of full rank has no kernel of its own.
        """
        from tensorly.decomposition import partial_tucker

        modes = [mode for mode in (0, 1) if ranks[mode] < self._weight.shape[mode]]
        mode_ranks = [ranks[mode] for mode in modes]
        tensor = self._weight.astype(np.float64)
        (core, matrices), _errors = partial_tucker(tensor, mode_ranks, modes=modes, n_iter_max=SWEEPS, random_state=0)
        bases: dict[int, Doubles] = {}
        for mode, basis in zip(modes, matrices, strict=True):
            bases[mode], core = _signed(basis, core, mode)
        first = [self._pointwise(bases[1].T)] if 1 in bases else []
        last = [self._pointwise(bases[0])] if 0 in bases else []
        middle = Factor(core.astype(self._weight.dtype), tuple(range(self._weight.ndim - 2)))
        return (*first, middle, *last)

    @property
    def _shape(self) -> tuple[int, int, int]:
        outputs, inputs = self._weight.shape[:2]
        return outputs, inputs, int(np.prod(self._weight.shape[2:]))

    def _tried(self, full: int) -> list[int]:
        return _evenly_spaced(full) if self._requested_rank is None else [min(full, self._requested_rank)]

    def _sizes(self, ranks: NDArray[np.int64]) -> NDArray[np.int64]:
        outputs, inputs, area = self._shape
        first = np.where(ranks[:, 1] < inputs, ranks[:, 1] * inputs, 0)
        last = np.where(ranks[:, 0] < outputs, ranks[:, 0] * outputs, 0)
        sizes: NDArray[np.int64] = first + last + ranks[:, 0] * ranks[:, 1] * area
        return sizes

    def _pointwise(self, matrix: Doubles) -> Factor:
        kernel = matrix.reshape(*matrix.shape, *(1 for _ in self._weight.shape[2:]))
        return Factor(kernel.astype(self._weight.dtype))


def _basis(tensor: Doubles, mode: int) -> Doubles:
    """Return the left singular vectors of the tensor unfolded along a mode, by decreasing singular value."""
    unfolded = np.moveaxis(tensor, mode, 0).reshape(tensor.shape[mode], -1)
    _, vectors = np.linalg.eigh(unfolded @ unfolded.T)
    return vectors[:, ::-1]


def _evenly_spaced(full: int) -> list[int]:
    step = -(-full // STEPS)
    return sorted({*range(step, full + 1, step), full})


def _signed(basis: Doubles, core: Doubles, mode: int) -> tuple[Doubles, Doubles]:
    """Flip signs to make the largest number of each basis vector positive."""
    largest = np.abs(basis).argmax(axis=0)
    signs = np.where(basis[largest, np.arange(basis.shape[1])] < 0, -1.0, 1.0)
    shape = [1] * core.ndim
    shape[mode] = -1
    return basis * signs, core * signs.reshape(shape)
