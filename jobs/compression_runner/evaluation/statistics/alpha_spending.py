"""Alpha spending: stop a measurement as soon as its data decide, without a higher rate of wrong verdicts.

An interval at confidence 1 - alpha is wrong with probability alpha when it is computed once. A measurement that looks
repeatedly, and stops at the first look that decides, is wrong when any of its intervals is. So the number of looks is
fixed before the first one, alpha is divided among them, and each look's intervals use their share of alpha
(group-sequential alpha spending by the union bound). This makes no assumption on the data: the intervals may be exact,
by bootstrap or Student's, and the statistics of different looks may depend on each other.

Sources: S. J. Pocock, Group sequential methods in the design and analysis of clinical trials, Biometrika 64 (1977):
equal shares; K. K. G. Lan, D. L. DeMets, Discrete sequential boundaries for clinical trials, Biometrika 70 (1983):
shares that differ. Their boundaries are a little tighter, and hold for normal statistics only.
"""

import math
from typing import Final

LOOKS: Final = 10
"""Looks at figures whose number of measurements is not fixed; each has about 1.7 times as many as the last."""
LAST_SHARE: Final = 0.5
"""Share of alpha for the last look at data of a known size; the earlier looks share the rest."""


def each_look(confidence: float, looks: int = LOOKS) -> float:
    """Return the confidence of the intervals at each look at which all of them together have `confidence`."""
    return 1.0 - (1.0 - confidence) / looks


def look_of_data(confidence: float, index: int, looks: int) -> float:
    """Return the confidence of the intervals at look `index` (from 0) of `looks` at data of a known size.

    The last look, at all data, keeps LAST_SHARE of alpha, so the earlier looks hardly widen its intervals.
    """
    if looks == 1:
        return confidence
    share = LAST_SHARE if index == looks - 1 else (1.0 - LAST_SHARE) / (looks - 1)
    return 1.0 - (1.0 - confidence) * share


def look_sizes(first: int, last: int, looks: int = LOOKS) -> tuple[int, ...]:
    """Return the number of measurements at each look, in geometric steps from `first` to `last`.

    There are at most `looks` looks, fewer if some would coincide; a single look is at `last`.
    """
    if looks == 1 or last <= first:
        return (max(first, last),)
    growth = (last / first) ** (1.0 / (looks - 1))
    sizes = {first, last, *(math.ceil(first * growth**step - 1e-9) for step in range(1, looks - 1))}
    return tuple(sorted(size for size in sizes if size <= last))
