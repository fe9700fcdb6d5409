"""The lower bound of a latency percentile on a machine without other processes."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

BISECTIONS: Final = 50


def relieved_percentile(values: NDArray[np.float64], quantile: float, lost: float) -> float:
    """Return a lower bound of the percentile of `values` without `lost` seconds of delay in total.

    Noise only adds to latencies, and it is unknown to which. The bound subtracts all of it from the queries that lower
    the percentile most: the largest at or below its rank, all reduced to one level. So it needs no model of the noise.
    """
    ordered = np.sort(values)
    rank = max(1, math.ceil(len(ordered) * quantile - 1e-9))
    sums = np.concatenate([[0.0], np.cumsum(ordered[:rank])])
    below = np.arange(rank)  # queries below the level, for each candidate level
    levels = (sums[rank] - sums[below] - lost) / (rank - below)
    floors = np.concatenate([[-np.inf], ordered[: rank - 1]])
    first = int(np.flatnonzero(levels >= floors)[-1])
    return max(0.0, float(levels[first]))


def relieved_mean_percentile(
    values: NDArray[np.float64], counts: NDArray[np.float64], quantile: float, lost: float
) -> float:
    """Return a lower bound of the percentile of means without `lost` seconds of delay in total.

    Each of `values` is the mean of `counts` parts in turn, so a second of delay adds only its share to it. The bound
    subtracts the delay where it lowers the percentile most: it is the lowest level to which enough values can come.
    """
    rank = max(1, math.ceil(len(values) * quantile - 1e-9))
    low, high = 0.0, float(np.partition(values, rank - 1)[rank - 1])
    for _ in range(BISECTIONS):
        level = (low + high) / 2
        seconds = np.maximum(0.0, values - level) * counts
        reached = float(np.partition(seconds, rank - 1)[:rank].sum()) <= lost
        low, high = (low, level) if reached else (level, high)
    return low
