"""Mean and 99th percentile of a language model's divergence from its baseline, with intervals over windows of text."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.answers.divergence import MOST_APART
from compression_runner.evaluation.quality.comparison import Score
from compression_runner.evaluation.statistics.intervals import negated
from compression_runner.evaluation.statistics.paired_bootstrap import Kinds, Weights, interval
from compression_runner.inference.similarity import Floats
from compressionjob.estimate import Estimate
from compressionjob.objectives import QualityMetric

METRICS: Final[tuple[QualityMetric, ...]] = ("klDivergence", "klDivergenceP99")
TAIL: Final = 0.99
ROUNDING: Final = 1e-9
"""Allowed below a share of 1 that was computed from weights."""
LEVELS: Final = 2048
"""Levels over the range of divergences, and again over their highest twentieth."""

Figures = NDArray[np.float64]


def divergence_scores(
    divergences: Floats, counted: NDArray[np.bool_], confidence: float, seed: int
) -> dict[QualityMetric, Score]:
    """Return both scores of divergences in nats, shape (windows, places), of which those `counted` count.

    A place without a finite answer makes both scores unbounded (MOST_APART): a percentile alone would leave it out.

    Tokens of one window depend on each other, so a resample weights whole windows. The baseline's own scores are 0, and
    there is no drop, since an increase from 0 has no ratio.
    """
    lost = int(np.count_nonzero(divergences[counted] >= MOST_APART))
    if lost:
        reason = f"{lost} of {np.count_nonzero(counted)} positions have no finite divergence from the baseline"
        worst = Estimate(value=MOST_APART, low=MOST_APART, high=MOST_APART, reason=reason)
        return {metric: Score(metric, baseline=Estimate.exact(0.0), compressed=worst, drop=None) for metric in METRICS}
    places = counted.sum(axis=1).astype(np.float64)
    sums = np.where(counted, divergences, 0.0).sum(axis=1, dtype=np.float64)
    levels = _levels(divergences[counted])
    by_window = [np.sort(row[kept]) for row, kept in zip(divergences, counted, strict=True)]
    within = np.stack([row.searchsorted(levels, side="right") for row in by_window]).astype(np.float64)

    def mean(weights: Weights) -> Figures:
        return np.asarray((weights @ sums) / (weights @ places))

    def tail(weights: Weights) -> Figures:
        shares = (weights @ within) / (weights @ places)[:, np.newaxis]
        return np.asarray(levels[(shares >= TAIL - ROUNDING).argmax(axis=1)])

    highest = levels.searchsorted(tail(np.ones((1, len(places))))[0])
    ends = ((mean, sums / places), (tail, 1.0 - within[:, highest] / places))
    return {
        metric: _score(metric, statistic, errors, confidence, seed)
        for metric, (statistic, errors) in zip(METRICS, ends, strict=True)
    }


def _levels(values: Floats) -> Figures:
    """Return some of the values in order, the lowest and the highest among them; all of them if they are few."""
    ranks = np.concatenate([np.linspace(0.0, 1.0, LEVELS), np.linspace(0.95, 1.0, LEVELS)])
    return np.unique(np.quantile(values.astype(np.float64), ranks, method="inverted_cdf"))


def _score(
    metric: QualityMetric, statistic: Callable[[Weights], Figures], errors: Figures, confidence: float, seed: int
) -> Score:
    """Return the score of a statistic that rises with the `errors` of windows, shape (windows,)."""
    kinds = Kinds(np.ones(len(errors), dtype=np.int64), best=int(errors.argmin()), worst=int(errors.argmax()))
    estimate = negated(interval(kinds, lambda weights: -statistic(weights), confidence, seed))
    return Score(metric, baseline=Estimate.exact(0.0), compressed=estimate, drop=None)
