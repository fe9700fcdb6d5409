"""Choose the range of an activation for the 256 codes from its calibration values.

minmax takes the full range. percentile drops the same small fraction of values at both ends. entropy takes the
threshold with the least Kullback-Leibler divergence of the quantized from the true distribution (Migacz, "8-bit
Inference with TensorRT", GTC 2017).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 2048
OUTSIDE: Final = 1e-4
"""The fraction of values that percentile drops: those beyond the 99.99th percentile."""
STEP: Final = 16
"""Bins between two thresholds to try with entropy."""
FAINT: Final = 1e-9
"""Substitute for an empty bin in a divergence, which would be infinite."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Range:
    """The smallest and the largest value with codes of their own."""

    low: float
    high: float

    def union(self, other: "Range") -> "Range":
        """Return the range that covers both."""
        return Range(min(self.low, other.low), max(self.high, other.high))


def finite_range(values: NDArray[np.generic]) -> Range | None:
    """Return the range of the finite values; None if there are none."""
    finite = values[np.isfinite(values)]
    return Range(float(finite.min()), float(finite.max())) if finite.size else None


def histogram(values: NDArray[np.generic], full: Range) -> Counts:
    """Return counts of the finite values in BINS equal bins over `full`."""
    counts, _ = np.histogram(values[np.isfinite(values)], bins=BINS, range=(full.low, full.high))
    return counts.astype(np.int64)


def percentile_range(counts: Counts, full: Range, outside: float = OUTSIDE) -> Range:
    """Return the range that drops at most `outside` / 2 of the values at either end."""
    edges = np.linspace(full.low, full.high, len(counts) + 1)
    shares = np.cumsum(counts) / max(1, counts.sum())
    left = int(np.searchsorted(shares, outside / 2, side="right"))
    right = int(np.searchsorted(shares, 1.0 - outside / 2, side="left"))
    return Range(float(edges[min(left, len(counts) - 1)]), float(edges[min(right, len(counts) - 1) + 1]))


def entropy_range(counts: Counts, full: Range) -> Range:
    """Return the range within the symmetric threshold of least divergence.

    Magnitudes get half of the codes if there are values of both signs, otherwise all.
    """
    magnitudes, top = _magnitudes(counts, full)
    # A ReLU gives exact zeros, which every threshold keeps: they must not dominate the divergence.
    magnitudes[0] = magnitudes[1]
    levels = 128 if full.low < 0 < full.high else 256
    ends = np.arange(levels, BINS + 1, STEP)
    divergences = [_divergence(magnitudes, int(end), levels) for end in ends]
    threshold = float(ends[int(np.argmin(divergences))]) / BINS * top
    return Range(max(full.low, -threshold), min(full.high, threshold))


def _magnitudes(counts: Counts, full: Range) -> tuple[Counts, float]:
    """Return counts of |x| in BINS bins from 0 to the largest magnitude, and that magnitude."""
    top = max(abs(full.low), abs(full.high))
    width = (full.high - full.low) / len(counts)
    centres = np.abs(full.low + (np.arange(len(counts)) + 0.5) * width)
    bins = np.minimum((centres / max(top, FAINT) * BINS).astype(np.int64), BINS - 1)
    return np.bincount(bins, weights=counts, minlength=BINS).astype(np.int64), top


def _divergence(magnitudes: Counts, end: int, levels: int) -> float:
    """Return the divergence if the first `end` bins get `levels` codes, and the others the last code."""
    inside = magnitudes[:end].astype(np.float64)
    true = inside.copy()
    true[-1] += magnitudes[end:].sum()
    code = np.arange(end) * levels // end
    filled = inside > 0
    sums = np.bincount(code, weights=inside, minlength=levels)
    shared_by = np.bincount(code, weights=filled, minlength=levels)
    quantized = np.where(filled, sums[code] / np.maximum(shared_by[code], 1), 0.0)
    if not quantized.any():
        return float("inf")
    p, q = true / true.sum(), quantized / quantized.sum()
    positive = p > 0
    return float(np.sum(p[positive] * np.log(p[positive] / np.maximum(q[positive], FAINT))))
