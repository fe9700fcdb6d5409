"""Statistics of the input of a layer, accumulated batch by batch in bounded memory."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.calibration.device import Array, to_device, to_host

BLOCK: Final = 4096
"""Rows per product: float32 is exact enough for this many rows; their sum is kept in float64."""
MASK: Final = "attention_mask"

Rows = NDArray[np.float32]


@dataclass
class InputStatistics:
    """Sums over the rows x (a token, a patch) of a layer's input of `width` channels.

    `hessian`, the sum of x x^T with shape (width, width), is accumulated if requested. The others have shape (width,):
    `squares` is the sum of x^2, `absolutes` the sum of |x|, `maximum` the largest |x|.
    """

    width: int
    wants_hessian: bool = True
    rows: int = 0
    squares: NDArray[np.float64] = field(init=False)
    absolutes: NDArray[np.float64] = field(init=False)
    maximum: NDArray[np.float64] = field(init=False)
    _hessian: Array = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.squares, self.absolutes, self.maximum = (np.zeros(self.width) for _ in range(3))
        if self.wants_hessian:
            self._hessian = to_device(np.zeros((self.width, self.width)))

    def add(self, rows: Rows) -> None:
        """Add rows of shape (rows, width); skip rows with a number that is not finite."""
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
            if self._hessian is not None:
                part = to_device(part)
                self._hessian += part.T @ part

    @property
    def hessian(self) -> NDArray[np.float64] | None:
        """The sum of x x^T, on the host; None if not requested."""
        return None if self._hessian is None else to_host(self._hessian)

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
    """Return the input of a layer as rows of shape (rows, channels), without the padding of `mask` (batch, sequence).

    All rows count if the first axes of the input are not the batch and sequence of the mask.
    """
    rows = np.asarray(values).reshape(-1, values.shape[-1])
    fits = mask is not None and values.ndim >= 2 and len(rows) == mask.size
    if fits and mask is not None and (values.shape[:2] == mask.shape or values.ndim == 2):
        rows = rows[mask.reshape(-1) != 0]
    return rows.astype(np.float32, copy=False)
