"""Cosine similarity of the answers of two models, row by row."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
"""Answers, shape (samples, values)."""


def row_cosines(baseline: Floats, compressed: Floats) -> NDArray[np.float64]:
    """Return the cosine of each pair of rows, shape (samples,); 0 if a row is zero or not finite."""
    left, right = baseline.astype(np.float64), np.nan_to_num(compressed.astype(np.float64), posinf=0.0, neginf=0.0)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    dots = np.einsum("ij,ij->i", left, right)
    cosines = np.divide(dots, norms, out=np.zeros_like(dots), where=norms > 0)
    cosines[~left.any(axis=1) & ~right.any(axis=1)] = 1.0
    return np.where(finite_rows(compressed), np.clip(cosines, -1.0, 1.0), 0.0)


def finite_rows(rows: Floats) -> NDArray[np.bool_]:
    """Return which rows hold finite numbers only, shape (samples,)."""
    return np.asarray(np.isfinite(rows).all(axis=1))
