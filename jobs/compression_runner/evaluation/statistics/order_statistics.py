"""Bounds of a percentile from the order statistics of a sample, and the sample size they need.

Source: H. A. David, H. N. Nagaraja, Order Statistics, 3rd edition, section 7.1: the number of samples at or below the
q-th quantile is Bin(n, q) for any distribution of the latencies; so the ranks of the bounds need no model of it.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from compressionjob.estimate import UNBOUNDED_SECONDS, Estimate

LOADGEN_CONFIDENCE = 0.98
"""Two-sided confidence whose upper bound is the one-sided 99 % of LoadGen's early stopping (early_stopping.cc)."""

DISPERSION_TEST = 0.20
"""Significance level of the test for dependence of the queries of one block. With nine blocks, a stricter level misses
dependence that makes intervals too narrow."""


def queries_needed(quantile: float, confidence: float, discard: int = 1) -> int:
    """Return the least number of queries whose (discard + 1)-th largest bounds `quantile` from above.

    `confidence` is two-sided. LoadGen's early stopping asks for the same bound with one discarded query at a one-sided
    99 %, which is LOADGEN_CONFIDENCE here and gives its 64 queries for p90 and 662 for p99.
    """
    alpha = (1.0 - confidence) / 2.0
    low, high = discard + 1, 1 << 30
    while low < high:
        middle = (low + high) // 2
        if special.bdtr(discard, middle, 1.0 - quantile) <= alpha:
            high = middle
        else:
            low = middle + 1
    return low


def rank_bounds(count: int, quantile: float, confidence: float) -> tuple[int | None, int | None]:
    """Return the 1-based ranks whose order statistics bound `quantile`, each None if `count` is too small."""
    alpha = (1.0 - confidence) / 2.0
    at_or_below = special.bdtr(np.arange(count), count, quantile)  # P(Bin(count, quantile) <= k)
    lower = int(np.searchsorted(at_or_below, alpha, side="right"))  # the largest rank l with P(Bin <= l - 1) <= alpha
    upper = int(np.searchsorted(at_or_below, 1.0 - alpha, side="left")) + 1  # the least u with P(Bin >= u) <= alpha
    return lower or None, upper if upper <= count else None


def design_effect(blocks: Sequence[NDArray[np.float64]], threshold: float, *, always: bool = False) -> float:
    """Return the factor by which the variance of the share above `threshold` exceeds that of independent queries.

    It is at least 1. Queries of one block share the machine's state, and the index of dispersion between blocks
    measures it. It is used only if a chi-square test rejects independence (or `always`), since an estimate from a dozen
    blocks is itself noisy. Source: L. Kish, Survey Sampling (1965), section 5.4; R. A. Fisher's dispersion test.
    """
    sizes = np.array([len(block) for block in blocks], dtype=np.float64)
    above = np.array([np.count_nonzero(block > threshold) for block in blocks], dtype=np.float64)
    share = above.sum() / sizes.sum()
    freedom = len(blocks) - 1
    if freedom < 1 or share in (0.0, 1.0):
        return 1.0
    statistic = float(np.sum((above - sizes * share) ** 2 / (sizes * share * (1.0 - share))))
    if not always and special.chdtrc(freedom, statistic) >= DISPERSION_TEST:
        return 1.0
    return max(1.0, statistic / freedom)


def queued_count(blocks: Sequence[NDArray[np.float64]], quantile: float, confidence: float) -> int:
    """Return the effective sample size of blocks whose queries wait for each other, for this percentile."""
    return dependent_count(blocks, percentile(np.concatenate(list(blocks)), quantile), confidence)


def dependent_count(blocks: Sequence[NDArray[np.float64]], threshold: float, confidence: float) -> int:
    """Return the effective sample size of blocks of dependent values, for the share above `threshold`.

    Such values are never independent, so the dispersion between blocks counts without a test. It counts for the share
    at `threshold` and above as well: many values may equal it, such as those of failed requests.
    """
    if len(blocks) < 2:
        return 1
    thresholds = threshold, math.nextafter(threshold, -math.inf)
    return min(_worth(blocks, each, confidence, always=True) for each in thresholds)


def effective_count(blocks: Sequence[NDArray[np.float64]], quantile: float, confidence: float) -> int:
    """Return the effective sample size of the blocks: the equivalent number of independent queries."""
    return _worth(blocks, percentile(np.concatenate(list(blocks)), quantile), confidence, always=False)


def few_blocks(confidence: float, blocks: int) -> float:
    """Return the share of independent values that dependent ones are worth at most in so few blocks."""
    tail = (1.0 + confidence) / 2.0
    return float(special.ndtri(tail) / special.stdtrit(blocks - 1, tail)) ** 2


def _worth(blocks: Sequence[NDArray[np.float64]], threshold: float, confidence: float, *, always: bool) -> int:
    """Return the count of queries divided by the design effect.

    The ratio of Student's quantiles corrects for the small number of blocks. Source: E. L. Korn, B. I. Graubard,
    Confidence intervals for proportions with small expected number of positive counts, Survey Methodology 24 (1998).
    """
    count, freedom = sum(map(len, blocks)), len(blocks) - 1
    effect = design_effect(blocks, threshold, always=always)
    if not always and effect == 1.0:
        return count
    tail = (1.0 + confidence) / 2.0
    few = special.stdtrit(count - 1, tail) / special.stdtrit(freedom, tail)
    return max(1, int(count / effect * few**2))


def percentile(values: NDArray[np.float64], quantile: float) -> float:
    """Return the order statistic of rank ceil(n * quantile), as LoadGen reports percentiles (no interpolation)."""
    rank = max(1, math.ceil(len(values) * quantile - 1e-9))
    return float(np.partition(values, rank - 1)[rank - 1])


def percentile_interval(
    blocks: Sequence[NDArray[np.float64]], quantile: float, confidence: float, worth: int | None = None
) -> Estimate:
    """Return the pooled percentile of latencies in seconds with its two-sided interval at `confidence`.

    `high` is UNBOUNDED_SECONDS with too few queries for an upper bound, and `low` is 0 with too few for a lower bound.
    If the blocks differ more than by chance, the ranks are those of the effective sample size, which `worth` may give:
    a noisy machine gets a wide interval.
    """
    pooled = np.sort(np.concatenate(list(blocks)))
    count = len(pooled)
    worth = effective_count(blocks, quantile, confidence) if worth is None else worth
    lower, upper = rank_bounds(worth, quantile, confidence)
    low, high = 0.0, UNBOUNDED_SECONDS
    if lower is not None:
        low = float(pooled[max(0, math.floor((lower - 1) * count / worth))])
    if upper is not None:
        high = float(pooled[min(count, math.ceil(upper * count / worth)) - 1])
    return Estimate(value=percentile(pooled, quantile), low=low, high=high)
