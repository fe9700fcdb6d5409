"""Scores that are means of one value from 0 to 1 per sample."""

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.quality.comparison import Score
from compression_runner.evaluation.statistics.intervals import negated
from compression_runner.evaluation.statistics.paired_bootstrap import Kinds, interval
from compressionjob.estimate import Estimate
from compressionjob.objectives import QualityMetric

Doubles = NDArray[np.float64]


def bounded_score(metric: QualityMetric, before: Doubles, after: Doubles, confidence: float, seed: int) -> Score:
    """Return the score of a mean of values from 0 to 1; samples that were not drawn may have any value."""
    gain = bounded_mean(after - before, (-1.0, 1.0), confidence, seed)
    sides = [bounded_mean(values, (0.0, 1.0), confidence, seed) for values in (before, after)]
    return Score(metric, baseline=sides[0], compressed=sides[1], drop=negated(gain))


def bounded_mean(values: Doubles, bounds: tuple[float, float], confidence: float, seed: int) -> Estimate:
    """Return the mean of values, shape (samples,), with its interval; samples not drawn lie within `bounds`."""
    kinds = np.concatenate([values, bounds])
    counts = np.concatenate([np.ones(len(values), dtype=np.int64), np.zeros(2, dtype=np.int64)])
    most = Kinds(counts, worst=len(values), best=len(values) + 1)
    return interval(most, lambda weights: weights @ kinds / weights.sum(axis=1), confidence, seed)
