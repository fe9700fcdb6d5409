"""Who is told figures as soon as they are measured, while the rest still runs: the metrics of a pod that soon ends."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Observer(Protocol):
    """Is told about the `baseline` and the `compressed` model."""

    def latencies(self, model: str, seconds: NDArray[np.float64]) -> None:
        """Latencies of single queries, in seconds, shape (queries,)."""

    def peak_memory(self, model: str, size_bytes: float) -> None:
        """Peak memory of a fresh process."""
