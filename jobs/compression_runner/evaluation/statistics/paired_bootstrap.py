"""Intervals of a quality score and of its drop, by bootstrap over the evaluation samples.

Both models answered the same samples, so a resample weights both in the same way. It is the Bayesian bootstrap (D. B.
Rubin, The Bayesian Bootstrap, Annals of Statistics 9, 1981): Dirichlet weights over the samples. For each end of the
interval, one sample is added that is as bad (or as good) as possible. So data without a wrong answer still allows for
samples that were not drawn, and for scores that are 0 or 1 the interval is Clopper and Pearson's exact one (N. Gaffke,
Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable, Mathematical
Methods of Statistics 14, 2005).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.statistics.resamples import MOST, resamples_for
from compressionjob.estimate import Estimate

Weights = NDArray[np.float64]
"""Weights of kinds of samples, shape (resamples, kinds); the sum of each row is positive."""

RESAMPLES = 5_000
_CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Kinds:
    """Samples grouped into kinds that a score does not distinguish: `counts[k]` samples of kind k.

    `best` and `worst` are the indices of the possible kinds that raise and lower the statistic most; kinds that do not
    occur in the data have the count 0.
    """

    counts: NDArray[np.int64]
    best: int
    worst: int


def interval(
    kinds: Kinds, statistic: Callable[[Weights], NDArray[np.float64]], confidence: float, seed: int = 0
) -> Estimate:
    """Return the statistic of all samples with its interval; a higher statistic is better.

    `statistic` maps weights of shape (rows, kinds) to figures of shape (rows,).
    """
    tail = (1.0 - confidence) / 2.0
    resamples = min(MOST, resamples_for(tail, RESAMPLES))
    generator = np.random.default_rng(seed)
    value = float(statistic(kinds.counts[np.newaxis].astype(np.float64))[0])
    low = np.quantile(_resampled(kinds.counts, kinds.worst, statistic, generator, resamples), tail)
    high = np.quantile(_resampled(kinds.counts, kinds.best, statistic, generator, resamples), 1.0 - tail)
    return Estimate(value=value, low=min(value, float(low)), high=max(value, float(high)))


def _resampled(
    counts: NDArray[np.int64],
    extra: int,
    statistic: Callable[[Weights], NDArray[np.float64]],
    generator: np.random.Generator,
    resamples: int,
) -> NDArray[np.float64]:
    """Return the statistic of `resamples` weightings of the samples plus one sample of kind `extra`."""
    shape = counts.astype(np.float64)
    shape[extra] += 1.0
    rows = max(1, _CELLS_AT_ONCE // len(shape))
    parts = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    return np.concatenate([statistic(generator.standard_gamma(shape, size=(part, len(shape)))) for part in parts])
