"""Intervals of ratios and means whose sampling unit is a block of queries, not a query.

Queries next to each other in time share the machine's state, so the bootstrap resamples pairs of a baseline block and
the compressed block next to it.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from compression_runner.evaluation.statistics.order_statistics import (
    percentile,
    percentile_interval,
    queued_count,
    rank_bounds,
)
from compression_runner.evaluation.statistics.resamples import MOST, resamples_for
from compressionjob.estimate import UNBOUNDED_RATIO, Estimate

RESAMPLES = 4000
CELLS_AT_ONCE = 8_000_000
"""Latencies in memory at a time: 64 MB."""
MOST_CELLS = 400_000_000
"""Latencies in all resamples together: seconds of computing."""
LEAST = 1e-9
"""Least seconds of a query."""
BEYOND_PERCENTILE = 2.0
"""A block has its own percentile if at least this many of its queries lie beyond it."""


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
    """Return the speed-up of the compressed model at a percentile, with its interval.

    `baseline[i]` and `compressed[i]` are the latencies (seconds) of blocks that ran next to each other. If a block is
    long enough for the percentile, the speed-up is the median over pairs of the ratio of the two blocks' percentiles,
    with the exact interval of its order statistics: a slowdown of both blocks of a pair cancels. For a percentile
    further out, or if queries wait for each other (`queued`), the speed-up is the ratio of the pooled percentiles. Its
    interval is a bootstrap over pairs or, if that would need too many resamples, comes from the intervals of both
    percentiles. Raises ValueError for fewer than two pairs.
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
    pooled = [percentile(np.concatenate(list(blocks)), quantile) for blocks in (baseline, compressed)]
    value = pooled[0] / pooled[1]
    ends = _by_bootstrap(baseline, compressed, quantile, confidence, seed)
    if ends is None:
        ends = _by_each_percentile(baseline, compressed, quantile, confidence, queued=queued)
    return Estimate(value=value, low=min(value, ends[0]), high=max(value, ends[1]))


def resampled(confidence: float, pairs: int) -> bool:
    """Return whether this many pairs allow a bootstrap at this confidence, with an affordable number of resamples."""
    return pairs > 1 and resamples_for(expanded_tail(confidence, pairs), RESAMPLES) <= MOST


def at_most_ratio(above: float, below: float) -> float:
    """Return the upper bound of a speed-up as a quotient; at most UNBOUNDED_RATIO, exactly."""
    # A division alone is not exact: x / (x / UNBOUNDED_RATIO) is a little less for one x in eighteen.
    return UNBOUNDED_RATIO if below * UNBOUNDED_RATIO <= above else above / below


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


def _by_bootstrap(
    baseline: Sequence[NDArray[np.float64]],
    compressed: Sequence[NDArray[np.float64]],
    quantile: float,
    confidence: float,
    seed: int,
) -> tuple[float, float] | None:
    """Return the ends of the ratio of pooled percentiles; None for too few pairs or too many queries.

    With few pairs, an interval at high confidence needs more resamples than are affordable.
    """
    pairs, size = len(baseline), min(len(block) for block in (*baseline, *compressed))
    tail = expanded_tail(confidence, pairs)
    resamples = resamples_for(tail, RESAMPLES)
    if resamples > MOST or resamples * pairs * size > MOST_CELLS:
        return None
    above, below = (np.stack([block[:size] for block in blocks]) for blocks in (baseline, compressed))
    generator = np.random.default_rng(seed)
    rows = max(1, CELLS_AT_ONCE // (pairs * size))
    ratios = []
    for start in range(0, resamples, rows):
        picks = generator.integers(0, pairs, size=(min(rows, resamples - start), pairs))
        ratios.append(_row_percentiles(above[picks], quantile) / _row_percentiles(below[picks], quantile))
    low, high = np.quantile(np.concatenate(ratios), [tail, 1.0 - tail])
    return float(low), float(high)


def _by_each_percentile(
    baseline: Sequence[NDArray[np.float64]],
    compressed: Sequence[NDArray[np.float64]],
    quantile: float,
    confidence: float,
    *,
    queued: bool,
) -> tuple[float, float]:
    """Return the ends of the ratio from the intervals of both percentiles, which hold together at this confidence."""
    each = 1.0 - (1.0 - confidence) / 2.0
    before, after = (
        percentile_interval(blocks, quantile, each, queued_count(blocks, quantile, each) if queued else None)
        for blocks in (baseline, compressed)
    )
    return before.low / after.high, at_most_ratio(before.high, max(after.low, LEAST))


def _row_percentiles(picked: NDArray[np.float64], quantile: float) -> NDArray[np.float64]:
    """Return the percentile of each row of picked blocks, (rows, pairs, queries), as an array of shape (rows,)."""
    flat = picked.reshape(len(picked), -1)
    rank = max(1, math.ceil(flat.shape[1] * quantile - 1e-9)) - 1
    return np.asarray(np.partition(flat, rank, axis=1)[:, rank], dtype=np.float64)
