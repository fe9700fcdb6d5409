"""Statistical power before the measurement: the half widths of the intervals that a number of measurements gives.

The half width depends on the number of measurements, the confidence of one interval, and an assumption on how much
measurements differ: a share of disagreement, or a coefficient of variation (the standard deviation as a share of the
mean). The intervals are those of the other modules of this package. A limit that is nearer to the true value than the
half width usually stays undecided; half the distance needs four times the measurements.
"""

import math
from typing import Final

from scipy import special

from compression_runner.evaluation.statistics.order_statistics import rank_bounds

FOUR_TIMES: Final = 4
"""Measurements that halve the width of an interval."""


def share_reach(samples: int, disagreement: float, confidence: float) -> float:
    """Return how far Clopper and Pearson's interval reaches above a share of `disagreement` in `samples` samples."""
    count = round(samples * disagreement)
    if count >= samples:
        return 0.0
    high = special.betaincinv(count + 1, samples - count, 1.0 - _tail(confidence))
    return float(high) - count / samples


def difference_reach(samples: int, disagreement: float, confidence: float) -> float:
    """Return how far the interval of a difference of two shares on the same samples reaches.

    `disagreement` is the share of samples that only one of the two models answers rightly, half of them each: this
    gives the largest variance of the difference.
    """
    return _quantile(confidence) * math.sqrt(disagreement / samples) + 1.0 / samples


def mean_reach(count: int, variation: float, confidence: float) -> float:
    """Return how far Student's interval of a mean of `count` values reaches, as a share of the mean."""
    return float(special.stdtrit(count - 1, 1.0 - _tail(confidence))) * variation / math.sqrt(count)


def percentile_reach(count: int, quantile: float, variation: float, confidence: float) -> float | None:
    """Return how far the interval of a percentile reaches above it, as a share of it; None without an upper bound.

    It assumes `count` independent measurements of a normal distribution with the coefficient of variation `variation`.
    """
    _, upper = rank_bounds(count, quantile, confidence)
    if upper is None:
        return None
    # The expected place of an order statistic (G. Blom, Statistical Estimates and Transformed Beta-Variables, 1958).
    place = float(special.ndtri((upper - 0.375) / (count + 0.25)))
    middle = float(special.ndtri(quantile))
    return variation * (place - middle) / (1.0 + variation * middle)


def least_share(samples: int, confidence: float) -> float:
    """Return the least limit on the share of wrong samples that a model without wrong samples passes."""
    return 1.0 - math.exp(math.log(_tail(confidence)) / samples)


def samples_for_share(limit: float, confidence: float) -> int:
    """Return the least number of samples at which a model without wrong samples passes `limit`, above 0."""
    if limit >= 1.0:
        return 1
    samples = max(1, math.ceil(math.log(_tail(confidence)) / math.log1p(-limit)))
    return samples if least_share(samples, confidence) <= limit else samples + 1


def _tail(confidence: float) -> float:
    return (1.0 - confidence) / 2.0


def _quantile(confidence: float) -> float:
    return float(special.ndtri(1.0 - _tail(confidence)))
