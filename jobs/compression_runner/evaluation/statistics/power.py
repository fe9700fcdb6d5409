"""Which differences from a limit a measurement of a given size can tell apart: the half widths of its intervals.

All of it is known before anything is measured, from the number of measurements, the confidence of one interval, and an
assumption on how much measurements differ: a share of disagreement, or a coefficient of variation (the standard
deviation as a share of the mean). The intervals are those of the modules beside this one. A limit nearer to the true
figure than half a width is usually left open; half of that distance takes four times the measurements.
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

    `disagreement` is the share of samples that only one of the two models answers rightly, half of them each: then the
    difference of a sample has that variance, the largest for it.
    """
    return _quantile(confidence) * math.sqrt(disagreement / samples) + 1.0 / samples


def mean_reach(count: int, variation: float, confidence: float) -> float:
    """Return how far Student's interval of a mean of `count` values reaches, as a share of the mean."""
    return float(special.stdtrit(count - 1, 1.0 - _tail(confidence))) * variation / math.sqrt(count)


def percentile_reach(count: int, quantile: float, variation: float, confidence: float) -> float | None:
    """Return how far the interval of a percentile reaches above it, as a share of it; None where it has no bound.

    `count` independent measurements of a normal distribution with this coefficient of variation.
    """
    _, upper = rank_bounds(count, quantile, confidence)
    if upper is None:
        return None
    # The expected place of an order statistic (G. Blom, Statistical Estimates and Transformed Beta-Variables, 1958).
    place = float(special.ndtri((upper - 0.375) / (count + 0.25)))
    middle = float(special.ndtri(quantile))
    return variation * (place - middle) / (1.0 + variation * middle)


def least_share(samples: int, confidence: float) -> float:
    """Return the least limit on a share of samples that go wrong which a model without any such sample keeps."""
    return 1.0 - math.exp(math.log(_tail(confidence)) / samples)


def samples_for_share(limit: float, confidence: float) -> int:
    """Return the least number of samples at which a model without a sample that goes wrong keeps `limit`, above 0."""
    if limit >= 1.0:
        return 1
    found = max(1, math.ceil(math.log(_tail(confidence)) / math.log1p(-limit)))
    return found if least_share(found, confidence) <= limit else found + 1


def _tail(confidence: float) -> float:
    return (1.0 - confidence) / 2.0


def _quantile(confidence: float) -> float:
    return float(special.ndtri(1.0 - _tail(confidence)))
