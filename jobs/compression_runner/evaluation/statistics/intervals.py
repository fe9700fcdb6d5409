"""Intervals of means and shares."""

import numpy as np
from numpy.typing import NDArray
from scipy import special

from compression_runner.evaluation.statistics.paired_bootstrap import Kinds, interval
from compressionjob.estimate import Estimate


def mean(values: NDArray[np.float64], confidence: float, seed: int) -> Estimate:
    """Return the mean with its interval; samples not drawn are assumed no worse than the worst one drawn."""
    kinds = Kinds(np.ones(len(values), dtype=np.int64), best=int(values.argmax()), worst=int(values.argmin()))
    return interval(kinds, lambda weights: weights @ values / weights.sum(axis=1), confidence, seed)


def share(same: NDArray[np.bool_], confidence: float) -> Estimate:
    """Return the share of true values with the exact interval of C. J. Clopper, E. S. Pearson, Biometrika 26 (1934)."""
    return share_of(int(same.sum()) / len(same), len(same), confidence)


def share_of(value: float, count: float, confidence: float) -> Estimate:
    """Return a share with Clopper and Pearson's interval; `count` is the effective number of independent values."""
    tail = (1.0 - confidence) / 2.0
    successes, failures = value * count, (1.0 - value) * count
    low = special.betaincinv(successes, failures + 1.0, tail) if successes > 0 else 0.0
    high = special.betaincinv(successes + 1.0, failures, 1.0 - tail) if failures > 0 else 1.0
    return Estimate(value=value, low=min(value, float(low)), high=max(value, float(high)))


def negated(gain: Estimate) -> Estimate:
    """Return the drop that corresponds to a gain."""
    return Estimate(value=0.0 - gain.value, low=0.0 - gain.high, high=0.0 - gain.low)
