"""Scores of errors (lower is better): the sum of the samples' errors divided by the sum of their sizes."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.quality.comparison import Score
from compression_runner.evaluation.statistics.intervals import negated
from compression_runner.evaluation.statistics.paired_bootstrap import Kinds, interval
from compressionjob.estimate import Estimate
from compressionjob.objectives import QualityMetric

Doubles = NDArray[np.float64]
LARGEST: Final = float(np.finfo(np.float32).max)
"""Stands for an infinite error, and for an increase from an error of 0."""


def error_score(
    metric: QualityMetric, before: Doubles, after: Doubles, sizes: Doubles, confidence: float, seed: int
) -> Score:
    """Return the score of an error: the sum of errors divided by the sum of sizes, both of shape (samples,).

    The drop is the increase as a share of the baseline's error, from the same samples on both sides. Samples that were
    not drawn are assumed to be no worse than the worst one drawn.
    """
    gain = interval(
        _kinds(-_increase(before.sum() + before, after.sum() + after)),
        lambda weights: -_increase(weights @ before, weights @ after),
        confidence,
        seed,
    )
    sides = [mean_error(errors, sizes, confidence, seed) for errors in (before, after)]
    return Score(metric, baseline=sides[0], compressed=sides[1], drop=negated(gain))


def mean_error(errors: Doubles, sizes: Doubles, confidence: float, seed: int) -> Estimate:
    """Return the sum of errors divided by the sum of sizes, both of shape (samples,), with its interval."""
    with_one_more = (errors.sum() + errors) / (sizes.sum() + sizes)
    return negated(
        interval(_kinds(-with_one_more), lambda weights: -(weights @ errors) / (weights @ sizes), confidence, seed)
    )


def _increase(before: Doubles, after: Doubles) -> Doubles:
    """Return the relative growth of errors; 0 from 0 to 0, and LARGEST from 0 to more."""
    ratio = np.divide(after, before, out=np.where(after > 0, LARGEST, 1.0), where=before > 0)
    return np.asarray(np.minimum(ratio, LARGEST) - 1.0)


def _kinds(effects: Doubles) -> Kinds:
    """Return every sample as its own kind."""
    return Kinds(np.ones(len(effects), dtype=np.int64), best=int(effects.argmax()), worst=int(effects.argmin()))
