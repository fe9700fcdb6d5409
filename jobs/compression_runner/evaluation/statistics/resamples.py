"""How many resamples a bootstrap interval needs."""

import math
from typing import Final

IN_TAIL: Final = 10
"""Resamples that lie beyond each end of the interval: with fewer, the end is one of the outermost by accident."""
MOST: Final = 50_000


def resamples_for(tail: float, least: int) -> int:
    """Return the number of resamples for ends at the quantiles `tail` and 1 - `tail`; at least `least`."""
    return max(least, math.ceil(IN_TAIL / max(tail, 1e-12)))
