"""Magnitude pruning: the weights nearest to zero become zero (Han et al. 2015, arXiv:1506.02626).

The threshold is exact and found by counting: the bits of a positive float32, read as an integer, keep its order, so two
passes over the weights with a histogram of 65,536 bins each find the k-th smallest in constant memory.

Layer-adaptive magnitudes (LAMP, Lee et al. 2021, arXiv:2010.07611) rank all layers together fairly.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Passes = Callable[[], Iterable[Floats]]
"""Gives the same arrays in the same order each time that it is called."""

BINS: Final = 1 << 16
BLOCK: Final = 1 << 20


@dataclass(frozen=True)
class Threshold:
    """Magnitudes whose bits are below `bits` go, and the first `ties` of those that equal it."""

    bits: int
    ties: int


def find_threshold(arrays: Passes, count: int) -> Threshold:
    """The threshold below which exactly `count` of all weights lie, ties counted in order."""
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
    """For every weight its square as a share of the squares that are no smaller, in (0, 1]; float32 of the same shape.

    The largest weight of every layer scores 1, so that no layer is pruned away.
    """
    squares = np.square(array.reshape(-1).astype(np.float64))
    order = np.argsort(squares, kind="stable")
    ranked = squares[order]
    rest = np.cumsum(ranked[::-1])[::-1]
    scores = np.empty(len(squares), np.float32)
    scores[order] = np.divide(ranked, rest, out=np.zeros_like(ranked), where=rest > 0)
    return scores.reshape(array.shape)


def prune(array: Floats, threshold: Threshold, scores: Floats | None = None) -> tuple[Floats, Threshold]:
    """The array with its small weights at zero, and the threshold with the ties that are left for the next array.

    `scores` are what the threshold was found for, where that was not the weights themselves.
    """
    bits = _bits((array if scores is None else scores).reshape(-1))
    goes = bits < threshold.bits
    if threshold.ties:
        equal = np.flatnonzero(bits == threshold.bits)[: threshold.ties]
        goes[equal] = True
        threshold = Threshold(threshold.bits, threshold.ties - len(equal))
    pruned = array.copy()
    pruned.reshape(-1)[goes] = 0
    return pruned, threshold


def _bin_of(histogram: NDArray[np.int64], count: int) -> tuple[int, int]:
    """The bin that holds the `count`-th smallest, and how many lie in the bins before it."""
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
