"""Which range of an activation gets the 256 codes, from what was seen of it.

minmax takes all of it. percentile leaves out the same small share of values at both ends. entropy takes the threshold
at which the quantized distribution tells least from the true one (Kullback-Leibler divergence; Migacz, "8-bit Inference
with TensorRT", GTC 2017).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

BINS: Final = 2048
OUTSIDE: Final = 1e-4
"""The share of values that percentile leaves out: those beyond the 99.99th percentile."""
STEP: Final = 16
"""Bins between two thresholds that entropy tries."""
FAINT: Final = 1e-9
"""What an empty bin counts for in a divergence, which is infinite otherwise."""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Range:
    """The least and the greatest value that get codes of their own."""

    low: float
    high: float

    def widened(self, other: "Range") -> "Range":
        """The range of both."""
        return Range(min(self.low, other.low), max(self.high, other.high))


def seen_range(values: NDArray[np.generic]) -> Range | None:
    """The range of the finite values; None where there are none."""
    finite = values[np.isfinite(values)]
    return Range(float(finite.min()), float(finite.max())) if finite.size else None


def histogram(values: NDArray[np.generic], seen: Range) -> Counts:
    """Counts of the finite values in BINS equal bins over `seen`."""
    counts, _ = np.histogram(values[np.isfinite(values)], bins=BINS, range=(seen.low, seen.high))
    return counts.astype(np.int64)


def percentile_range(counts: Counts, seen: Range, outside: float = OUTSIDE) -> Range:
    """The range that leaves out at most `outside` / 2 of the values at either end."""
    edges = np.linspace(seen.low, seen.high, len(counts) + 1)
    shares = np.cumsum(counts) / max(1, counts.sum())
    left = int(np.searchsorted(shares, outside / 2, side="right"))
    right = int(np.searchsorted(shares, 1.0 - outside / 2, side="left"))
    return Range(float(edges[min(left, len(counts) - 1)]), float(edges[min(right, len(counts) - 1) + 1]))


def entropy_range(counts: Counts, seen: Range) -> Range:
    """The range within the symmetric threshold of least divergence.

    Half the codes are for the magnitudes where there are values of both signs, all of them where there are not.
    """
    magnitudes, top = _magnitudes(counts, seen)
    # What a ReLU cuts off is exactly zero, which every threshold keeps: it must not outweigh all the rest.
    magnitudes[0] = magnitudes[1]
    levels = 128 if seen.low < 0 < seen.high else 256
    ends = np.arange(levels, BINS + 1, STEP)
    divergences = [_divergence(magnitudes, int(end), levels) for end in ends]
    threshold = float(ends[int(np.argmin(divergences))]) / BINS * top
    return Range(max(seen.low, -threshold), min(seen.high, threshold))


def _magnitudes(counts: Counts, seen: Range) -> tuple[Counts, float]:
    """Counts of |x| in BINS bins from 0 to the greatest magnitude, which is returned too."""
    top = max(abs(seen.low), abs(seen.high))
    width = (seen.high - seen.low) / len(counts)
    centres = np.abs(seen.low + (np.arange(len(counts)) + 0.5) * width)
    bins = np.minimum((centres / max(top, FAINT) * BINS).astype(np.int64), BINS - 1)
    return np.bincount(bins, weights=counts, minlength=BINS).astype(np.int64), top


def _divergence(magnitudes: Counts, end: int, levels: int) -> float:
    """What is lost when the first `end` bins get `levels` codes, and the rest the last code."""
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
    there = p > 0
    return float(np.sum(p[there] * np.log(p[there] / np.maximum(q[there], FAINT))))
