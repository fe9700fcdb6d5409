"""Accumulate moments of the inputs of layers on calibration data, batch by batch."""

import numpy as np
from numpy.typing import NDArray

from compression_runner.calibration.statistics import InputStatistics, token_rows
from compression_runner.methods.factorize.decomposition import InputMoments
from compression_runner.methods.factorize.model import Target


class InputCollector:
    """Accumulates the inputs of one target, without the padding in a mask (batch, sequence)."""

    def __init__(self, target: Target) -> None:
        self._width = target.shape[0]
        self._lookup = target.kind == "embedding"
        self._sums = np.zeros(self._width)
        self._statistics = None if self._lookup else InputStatistics(self._width)

    def add(self, values: NDArray[np.generic], mask: NDArray[np.generic] | None) -> None:
        """Add one batch: indices of any shape for a table, otherwise rows of the layer's width."""
        if self._statistics is None:
            real = values[mask != 0] if mask is not None and mask.shape == values.shape else values
            indices = np.asarray(real, np.int64).reshape(-1)
            positive = np.where(indices < 0, indices + self._width, indices)
            self._sums += np.bincount(positive, minlength=self._width)
            return
        rows = token_rows(values, mask)
        rows = rows[np.isfinite(rows).all(1)]
        self._statistics.add(rows)
        self._sums += rows.sum(0, dtype=np.float64)

    @property
    def inputs(self) -> InputMoments:
        """The moments of all added batches."""
        if self._statistics is None or self._statistics.hessian is None:
            return InputMoments(float(self._sums.sum()), self._sums, self._sums)
        return InputMoments(self._statistics.rows, self._sums, self._statistics.hessian)
