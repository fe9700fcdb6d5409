"""Nearest neighbours among the answers of a model."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.inference.similarity import Floats

ROWS: Final = 512
"""Rows of the similarity matrix that are in memory at a time."""


def nearest_neighbours(rows: Floats) -> NDArray[np.int64]:
    """Return the index of the other row with the greatest cosine for each row, shape (samples,)."""
    finite = np.nan_to_num(rows, posinf=0.0, neginf=0.0)
    norms = np.linalg.norm(finite, axis=1, keepdims=True)
    unit = np.divide(finite, norms, out=np.zeros_like(finite), where=norms > 0)
    nearest = np.empty(len(unit), dtype=np.int64)
    for start in range(0, len(unit), ROWS):
        similarity = unit[start : start + ROWS] @ unit.T
        here = np.arange(len(similarity))
        similarity[here, start + here] = -np.inf
        nearest[start : start + ROWS] = similarity.argmax(axis=1)
    return nearest
