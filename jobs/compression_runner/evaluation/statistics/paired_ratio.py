"""The ratio of two models' shares of right answers to the same questions, with its interval.

A ratio is at most r exactly if the mean of (after - r before) is at most 0. So its interval is that of a mean of
bounded values, at each r: the bootstrap of `paired_bootstrap`, whose additional question is one that only the baseline,
or only the compressed model, answers right (N. Gaffke 2005; the inversion is that of E. C. Fieller, Journal of the
Royal Statistical Society B 16, 1954).
"""

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.statistics.paired_bootstrap import Kinds, Weights, interval
from compression_runner.evaluation.statistics.paired_shares import Marks
from compressionjob.estimate import UNBOUNDED_RATIO, Estimate

_BEFORE = np.array([0.0, 1.0, 0.0, 1.0])
_AFTER = np.array([0.0, 0.0, 1.0, 1.0])


def ratio_of_shares(before: Marks, after: Marks, confidence: float, seed: int = 0) -> Estimate:
    """Return the share of right answers of `after`, divided by that of `before`, which must have a right answer."""
    counts = np.bincount(before + 2 * after.astype(np.int64), minlength=4)

    def ratio(weights: Weights) -> NDArray[np.float64]:
        with np.errstate(divide="ignore"):  # weights of single answers can be as small as 0
            shares = np.minimum((weights @ _AFTER) / (weights @ _BEFORE), UNBOUNDED_RATIO)
        return np.asarray(shares, dtype=np.float64)

    return interval(Kinds(counts, best=2, worst=1), ratio, confidence, seed)
