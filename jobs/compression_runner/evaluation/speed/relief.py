"""What a percentile of latencies could have been had nobody taken time away from the machine."""

import math

import numpy as np
from numpy.typing import NDArray


def relieved_percentile(values: NDArray[np.float64], quantile: float, lost: float) -> float:
    """Return the least that the percentile of these latencies can have been without `lost` seconds of delay.

    Noise only adds to latencies, and nobody knows to which. The bound gives all of it back to the queries that it helps
    the most: those that are lowered, as a whole, to where the percentile then lies. So it needs no model of the noise.
    """
    ordered = np.sort(values)
    rank = max(1, math.ceil(len(ordered) * quantile - 1e-9))
    sums = np.concatenate([[0.0], np.cumsum(ordered[:rank])])
    below = np.arange(rank)  # how many queries already lie under the level, for each level that is tried
    levels = (sums[rank] - sums[below] - lost) / (rank - below)
    floors = np.concatenate([[-np.inf], ordered[: rank - 1]])
    first = int(np.flatnonzero(levels >= floors)[-1])
    return max(0.0, float(levels[first]))
