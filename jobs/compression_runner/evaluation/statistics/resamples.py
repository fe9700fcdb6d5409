"""How many resamples a bootstrap interval needs."""

import math
from typing import Final

IN_TAIL: Final = 10
"""Resamples beyond each end of the interval; with fewer, the end depends on a few extreme resamples."""
MOST: Final = 50_000


def resamples_for(tail: float, least: int) -> int:
    """Return the number of resamples for ends at the quantiles `tail` and 1 - `tail`; at least `least`."""
    return max(least, math.ceil(IN_TAIL / max(tail, 1e-12)))
