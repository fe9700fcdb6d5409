"""Intervals of ratios and means whose unit of chance is a block of queries, not a query.

Queries next to each other in time share the machine's state, so what is resampled is the pair of a baseline block and
the compressed block beside it.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from compression_runner.evaluation.statistics.order_statistics import percentile, rank_bounds
from compressionjob.estimate import Estimate

RESAMPLES = 4000
BEYOND_PERCENTILE = 2.0
"""A block has a percentile of its own when at least so many of its queries lie beyond it."""


def expanded_tail(confidence: float, count: int) -> float:
    """Return the tail probability of the bootstrap's percentile interval for `count` resampled units.

    The plain percentile interval is too narrow for few units. Source: T. C. Hesterberg, What Teachers Should Know About
    the Bootstrap, The American Statistician 69 (2015), section 5.3: the expanded percentile interval.
    """
    quantile = special.stdtrit(count - 1, (1.0 + confidence) / 2.0)
    return float(special.ndtr(-math.sqrt(count / (count - 1)) * quantile))


def speedup_interval(
    baseline: Sequence[NDArray[np.float64]],
    compressed: Sequence[NDArray[np.float64]],
    quantile: float,
    confidence: float,
    seed: int = 0,
    *,
    queued: bool = False,
) -> Estimate:
    """Return how many times the compressed model is as fast at a percentile, with its interval.

    `baseline[i]` and `compressed[i]` are the latencies (seconds) of blocks that ran next to each other. Where a block
    is long enough to have the percentile itself, the figure is the median over pairs of the ratio of the two blocks'
    percentiles, with the exact interval of its order statistics: what slowed both blocks of a pair cancels. For a
    percentile further out, and where queries wait for each other (`queued`), so that a block's own percentile says
    little, it is the ratio of the pooled percentiles, by bootstrap over pairs.
    Raises ValueError for fewer than two pairs.
    """
    pairs = len(baseline)
    if pairs != len(compressed) or pairs < 2:
        raise ValueError(f"a speed-up needs at least two pairs of blocks, not {pairs} and {len(compressed)}")
    shortest = min(len(block) for block in (*baseline, *compressed))
    lower, upper = rank_bounds(pairs, 0.5, confidence)
    if not queued and lower is not None and upper is not None and shortest * (1.0 - quantile) >= BEYOND_PERCENTILE:
        ratios = np.sort(
            [percentile(b, quantile) / percentile(c, quantile) for b, c in zip(baseline, compressed, strict=True)]
        )
        return Estimate(value=float(np.median(ratios)), low=float(ratios[lower - 1]), high=float(ratios[upper - 1]))
    return _pooled_speedup(baseline, compressed, quantile, confidence, seed)


def mean_interval(values: Sequence[float], confidence: float) -> Estimate:
    """Return the mean of independent block results with Student's interval.

    Raises ValueError for fewer than two values, which have no interval.
    """
    data = np.asarray(values, dtype=np.float64)
    if len(data) < 2:
        raise ValueError(f"an interval of a mean needs at least two values, not {len(data)}")
    mean = float(data.mean())
    quantile = float(special.stdtrit(len(data) - 1, (1.0 + confidence) / 2.0))
    half = quantile * float(data.std(ddof=1)) / math.sqrt(len(data))
    return Estimate(value=mean, low=mean - half, high=mean + half)


def _pooled_speedup(
    baseline: Sequence[NDArray[np.float64]],
    compressed: Sequence[NDArray[np.float64]],
    quantile: float,
    confidence: float,
    seed: int,
) -> Estimate:
    """Return the ratio of the pooled percentiles with its interval by bootstrap over pairs."""
    pairs = len(baseline)
    picks = np.random.default_rng(seed).integers(0, pairs, size=(RESAMPLES, pairs))
    above = _resampled_percentile(baseline, picks, quantile)
    below = _resampled_percentile(compressed, picks, quantile)
    pooled = [percentile(np.concatenate(list(blocks)), quantile) for blocks in (baseline, compressed)]
    value = pooled[0] / pooled[1]
    tail = expanded_tail(confidence, pairs)
    low, high = np.quantile(above / below, [tail, 1.0 - tail])
    return Estimate(value=value, low=min(value, float(low)), high=max(value, float(high)))


def _resampled_percentile(
    blocks: Sequence[NDArray[np.float64]], picks: NDArray[np.int64], quantile: float
) -> NDArray[np.float64]:
    """Return the pooled percentile of each row of picked blocks; shape (rows,)."""
    size = min(len(block) for block in blocks)
    table = np.stack([block[:size] for block in blocks])
    rank = max(1, math.ceil(picks.shape[1] * size * quantile - 1e-9)) - 1
    rows = max(1, 8_000_000 // (picks.shape[1] * size))  # bounded memory: 64 MB of float64 at a time
    return np.concatenate(
        [
            np.partition(table[part].reshape(len(part), -1), rank, axis=1)[:, rank]
            for part in np.array_split(picks, math.ceil(len(picks) / rows))
        ]
    )
