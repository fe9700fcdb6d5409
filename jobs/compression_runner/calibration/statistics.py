"""What is known of a layer's input after calibration, gathered batch by batch in bounded memory."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

BLOCK: Final = 4096
"""Rows that are multiplied at once: float32 products are exact enough over so many, their sum is kept in float64."""
MASK: Final = "attention_mask"

Rows = NDArray[np.float32]


@dataclass
class InputStatistics:
    """Sums over the rows x (a token, a patch) of a layer's input of `width` channels.

    `hessian` is the sum of x x^T, shape (width, width), or None where it was not asked for; the others have shape
    (width,): `squares` is the sum of x^2, `absolutes` that of |x|, `maximum` the greatest |x|.
    """

    width: int
    wants_hessian: bool = True
    rows: int = 0
    squares: NDArray[np.float64] = field(init=False)
    absolutes: NDArray[np.float64] = field(init=False)
    maximum: NDArray[np.float64] = field(init=False)
    hessian: NDArray[np.float64] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.squares, self.absolutes, self.maximum = (np.zeros(self.width) for _ in range(3))
        if self.wants_hessian:
            self.hessian = np.zeros((self.width, self.width))

    def add(self, rows: Rows) -> None:
        """Counts rows of shape (rows, width); those with a number that is not finite are left out."""
        for start in range(0, len(rows), BLOCK):
            part = np.asarray(rows[start : start + BLOCK], np.float32)
            part = part[np.isfinite(part).all(1)]
            if not len(part):
                continue
            self.rows += len(part)
            self.squares += np.square(part, dtype=np.float64).sum(0)
            magnitudes = np.abs(part)
            self.absolutes += magnitudes.sum(0, dtype=np.float64)
            np.maximum(self.maximum, magnitudes.max(0), out=self.maximum)
            if self.hessian is not None:
                self.hessian += part.T @ part

    @property
    def norms(self) -> NDArray[np.float64]:
        """The L2 norm of each channel over all rows."""
        norms: NDArray[np.float64] = np.sqrt(self.squares)
        return norms

    @property
    def means(self) -> NDArray[np.float64]:
        """The mean magnitude of each channel."""
        return self.absolutes / max(1, self.rows)


def token_rows(values: NDArray[np.generic], mask: NDArray[np.generic] | None) -> Rows:
    """A layer's input as rows of shape (rows, channels), without those that `mask` (batch, sequence) says are padding.

    Where the input does not have the mask's batch and sequence in front, all of its rows count.
    """
    rows = np.asarray(values).reshape(-1, values.shape[-1])
    fits = mask is not None and values.ndim >= 2 and len(rows) == mask.size
    if fits and mask is not None and (values.shape[:2] == mask.shape or values.ndim == 2):
        rows = rows[mask.reshape(-1) != 0]
    return rows.astype(np.float32, copy=False)
