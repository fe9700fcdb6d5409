"""Bounds of a percentile from the order statistics of a sample, and the sample size that they need.

Source: H. A. David, H. N. Nagaraja, Order Statistics, 3rd edition, section 7.1: the number of samples at or below the
q-th quantile is Bin(n, q), whatever the distribution of the latencies; so the ranks of the bounds need no model of it.
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
"""Level of the test that decides whether queries of one block are alike because the machine was noisy then: of nine
blocks, a stricter one does not see what makes intervals too narrow."""


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
    """Return the 1-based ranks whose order statistics bound `quantile`, each None where `count` is too small."""
    alpha = (1.0 - confidence) / 2.0
    at_or_below = special.bdtr(np.arange(count), count, quantile)  # P(Bin(count, quantile) <= k)
    lower = int(np.searchsorted(at_or_below, alpha, side="right"))  # the largest rank l with P(Bin <= l - 1) <= alpha
    upper = int(np.searchsorted(at_or_below, 1.0 - alpha, side="left")) + 1  # the least u with P(Bin >= u) <= alpha
    return lower or None, upper if upper <= count else None


def design_effect(blocks: Sequence[NDArray[np.float64]], threshold: float, *, always: bool = False) -> float:
    """Return by how much the variance of the share above `threshold` exceeds that of independent queries; at least 1.

    Queries of one block share the machine's state. The index of dispersion between blocks says how much: it is used
    only when a chi-square test rejects independence (or `always`), since its estimate from a dozen blocks is itself
    noisy.
    Source: L. Kish, Survey Sampling (1965), section 5.4; R. A. Fisher's dispersion test.
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
    """Return how many independent queries the blocks are worth where the queries of a block wait for each other.

    They are never independent then, so the dispersion between blocks counts without a test.
    """
    if len(blocks) < 2:
        return 1
    return _worth(blocks, quantile, confidence, always=True)


def effective_count(blocks: Sequence[NDArray[np.float64]], quantile: float, confidence: float) -> int:
    """Return how many independent queries the blocks are worth for this quantile."""
    return _worth(blocks, quantile, confidence, always=False)


def _worth(blocks: Sequence[NDArray[np.float64]], quantile: float, confidence: float, *, always: bool) -> int:
    """Return the count of queries less what they have in common by block.

    The ratio of Student's quantiles makes up for the few blocks that this is known from. Source: E. L. Korn, B. I.
    Graubard, Confidence intervals for proportions with small expected number of positive counts, Survey Methodology 24
    (1998).
    """
    pooled = np.concatenate(list(blocks))
    count, freedom = len(pooled), len(blocks) - 1
    effect = design_effect(blocks, percentile(pooled, quantile), always=always)
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

    `high` is UNBOUNDED_SECONDS when there are too few queries for an upper bound, and `low` 0 for a lower one.
    Where the blocks differ more than chance allows, the ranks are those of the smaller, effective sample, `worth` if it
    is known: a noisy machine shows as a wide interval.
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
