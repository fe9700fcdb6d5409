"""The interface for figures as soon as they are measured: the pod exports them as metrics before it ends."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Observer(Protocol):
    """Receives figures of the `baseline` and the `compressed` model."""

    def latencies(self, model: str, seconds: NDArray[np.float64]) -> None:
        """Take latencies of single queries, in seconds, shape (queries,)."""

    def peak_memory(self, model: str, size_bytes: float) -> None:
        """Take the peak memory of a fresh process, in bytes."""
