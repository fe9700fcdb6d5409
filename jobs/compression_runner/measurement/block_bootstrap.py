"""Intervals of ratios and means whose unit of chance is a block of queries, not a query.

Queries next to each other in time share the machine's state, so what is resampled is the pair of a baseline block and
the compressed block beside it.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from compressionjob.estimate import Estimate

RESAMPLES = 4000


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
) -> Estimate:
    """Return baseline percentile / compressed percentile with its interval, by bootstrap over pairs of blocks.

    `baseline[i]` and `compressed[i]` are the latencies (seconds) of the blocks that ran next to each other.
    Raises ValueError for fewer than two pairs.
    """
    pairs = len(baseline)
    if pairs != len(compressed) or pairs < 2:
        raise ValueError(f"a speed-up needs at least two pairs of blocks, not {pairs} and {len(compressed)}")
    picks = np.random.default_rng(seed).integers(0, pairs, size=(RESAMPLES, pairs))
    above = _resampled_percentile(baseline, picks, quantile)
    below = _resampled_percentile(compressed, picks, quantile)
    everything = np.arange(pairs)[np.newaxis]
    value = float(
        _resampled_percentile(baseline, everything, quantile)[0]
        / _resampled_percentile(compressed, everything, quantile)[0]
    )
    tail = expanded_tail(confidence, pairs)
    low, high = np.quantile(above / below, [tail, 1.0 - tail])
    return Estimate(value=value, low=min(value, float(low)), high=max(value, float(high)))


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
