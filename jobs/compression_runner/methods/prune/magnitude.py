"""Magnitude pruning: set the weights nearest to zero to zero (Han et al. 2015, arXiv:1506.02626).

The threshold is exact. The bits of a positive float32, read as an integer, keep its order, so two passes over the
weights with a histogram of 65,536 bins each determine the k-th smallest in constant memory.

Layer-adaptive magnitudes (LAMP, Lee et al. 2021, arXiv:2010.07611) make scores comparable across layers.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Passes = Callable[[], Iterable[Floats]]
"""Returns the same arrays in the same order at each call."""

BINS: Final = 1 << 16
BLOCK: Final = 1 << 20


@dataclass(frozen=True)
class Threshold:
    """Prune magnitudes whose bits are below `bits`, and the first `ties` of those equal to it."""

    bits: int
    ties: int


def find_threshold(arrays: Passes, count: int) -> Threshold:
    """Return the threshold below which exactly `count` of all weights are, with ties in order."""
    if count <= 0:
        return Threshold(0, 0)
    upper = np.zeros(BINS, np.int64)
    for bits in _all_bits(arrays):
        upper += np.bincount(bits >> 16, minlength=BINS)
    high, before = _bin_of(upper, count)
    lower = np.zeros(BINS, np.int64)
    for bits in _all_bits(arrays):
        lower += np.bincount(bits[(bits >> 16) == high] & 0xFFFF, minlength=BINS)
    low, within = _bin_of(lower, count - before)
    return Threshold((high << 16) | low, count - before - within)


def lamp_scores(array: Floats) -> Floats:
    """Return, for each weight, its square divided by the sum of all squares not smaller; float32 in (0, 1].

    The largest weight of every layer scores 1, so that no layer is pruned entirely.
    """
    squares = np.square(array.reshape(-1).astype(np.float64))
    order = np.argsort(squares, kind="stable")
    ranked = squares[order]
    rest = np.cumsum(ranked[::-1])[::-1]
    scores = np.empty(len(squares), np.float32)
    scores[order] = np.divide(ranked, rest, out=np.zeros_like(ranked), where=rest > 0)
    return scores.reshape(array.shape)


def prune(array: Floats, threshold: Threshold, scores: Floats | None = None) -> tuple[Floats, Threshold]:
    """Return the array with its small weights at zero, and the threshold with the remaining ties for the next array.

    `scores` are the values of the threshold, if these are not the weights themselves.
    """
    bits = _bits((array if scores is None else scores).reshape(-1))
    pruned_mask = bits < threshold.bits
    if threshold.ties:
        equal = np.flatnonzero(bits == threshold.bits)[: threshold.ties]
        pruned_mask[equal] = True
        threshold = Threshold(threshold.bits, threshold.ties - len(equal))
    pruned = array.copy()
    pruned.reshape(-1)[pruned_mask] = 0
    return pruned, threshold


def _bin_of(histogram: NDArray[np.int64], count: int) -> tuple[int, int]:
    """Return the bin of the `count`-th smallest, and the number of weights in the bins before."""
    reached = np.cumsum(histogram)
    index = int(np.searchsorted(reached, count))
    return index, int(reached[index] - histogram[index])


def _all_bits(arrays: Passes) -> Iterable[NDArray[np.uint32]]:
    for array in arrays():
        flat = array.reshape(-1)
        for start in range(0, len(flat), BLOCK):
            yield _bits(flat[start : start + BLOCK])


def _bits(flat: Floats) -> NDArray[np.uint32]:
    return np.abs(flat).astype(np.float32).view(np.uint32)
