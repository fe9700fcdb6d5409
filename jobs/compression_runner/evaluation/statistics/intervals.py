"""Intervals of means and shares."""

import numpy as np
from numpy.typing import NDArray
from scipy import special

from compression_runner.evaluation.statistics.paired_bootstrap import Kinds, interval
from compressionjob.estimate import Estimate


def mean(values: NDArray[np.float64], confidence: float, seed: int) -> Estimate:
    """Return the mean with its interval; what was not drawn is taken to be no worse than the worst that was."""
    kinds = Kinds(np.ones(len(values), dtype=np.int64), best=int(values.argmax()), worst=int(values.argmin()))
    return interval(kinds, lambda weights: weights @ values / weights.sum(axis=1), confidence, seed)


def share(same: NDArray[np.bool_], confidence: float) -> Estimate:
    """Return the share of true values with the exact interval of C. J. Clopper, E. S. Pearson, Biometrika 26 (1934)."""
    successes, count, tail = int(same.sum()), len(same), (1.0 - confidence) / 2.0
    low = special.betaincinv(successes, count - successes + 1, tail) if successes else 0.0
    high = special.betaincinv(successes + 1, count - successes, 1.0 - tail) if successes < count else 1.0
    return Estimate(value=successes / count, low=float(low), high=float(high))


def negated(found: Estimate) -> Estimate:
    """Return the drop for a gain."""
    return Estimate(value=0.0 - found.value, low=0.0 - found.high, high=0.0 - found.low)
