"""Quality of a regression model: its errors compared with its baseline's, and the correlation of both."""

import numpy as np
from numpy.typing import NDArray

from compression_runner.errors import InvalidInput
from compression_runner.evaluation.quality.comparison import (
    Quality,
    Score,
    against_itself,
    quality_of,
    require_finite_baseline,
)
from compression_runner.evaluation.quality.error_scores import LARGEST, error_score
from compression_runner.evaluation.statistics.paired_bootstrap import Kinds, Weights, interval
from compression_runner.inference.similarity import Floats
from compressionjob.estimate import Estimate
from compressionjob.objectives import QualityMetric
from compressionjob.tasks import Task

Doubles = NDArray[np.float64]


def regression_quality(
    baseline: Floats,
    compressed: Floats,
    targets: Floats | None,
    confidence: float,
    seed: int = 0,
    *,
    task: Task = "tabular-regression",
) -> Quality:
    """Compare predictions of shape (samples, 1) by Pearson's correlation.

    Targets (samples,) add the mean absolute and the mean squared error, as scikit-learn computes them. The drop of an
    error is its increase as a share of the baseline's. A prediction of `compressed` that is not finite counts as
    LARGEST. Raises InvalidInput if the baseline's predictions are not finite, or a sample has several.
    """
    if baseline.shape[1] != 1:
        problem = f"the model predicts {baseline.shape[1]} numbers for each sample"
        raise InvalidInput("InvalidModel", "spec.model.task", task, problem, "name a model that predicts one")
    require_finite_baseline(baseline)
    before = baseline[:, 0].astype(np.float64)
    after = np.nan_to_num(compressed[:, 0], nan=LARGEST, posinf=LARGEST, neginf=-LARGEST).astype(np.float64)
    together = against_itself("correlation", _correlation(before, after, confidence, seed))
    scores: dict[QualityMetric, Score] = {"correlation": together}
    if targets is not None:
        apart = [np.abs(side - targets.astype(np.float64)) for side in (before, after)]
        ones = np.ones(len(before))
        scores["mae"] = error_score("mae", apart[0], apart[1], ones, confidence, seed)
        scores["mse"] = error_score("mse", apart[0] ** 2, apart[1] ** 2, ones, confidence, seed)
    return quality_of(scores, baseline, compressed)


def correlation(left: Doubles, right: Doubles, weights: Weights) -> Doubles:
    """Return Pearson's correlation under weights of shape (rows, samples), shape (rows,).

    It is 1 if neither side varies, and 0 if only one does.
    """
    return _from_moments(weights @ _moments(left, right))


def _moments(left: Doubles, right: Doubles) -> Doubles:
    """Return the terms of the correlation's sums, shape (samples, 6), shifted to avoid loss of precision."""
    x, y = left - left.mean(), right - np.median(right)
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)


def _from_moments(sums: Doubles) -> Doubles:
    count, x, y, xx, yy, xy = sums.T
    spread_x, spread_y = xx / count - (x / count) ** 2, yy / count - (y / count) ** 2
    varies_x, varies_y = spread_x > 1e-12 * xx / count, spread_y > 1e-12 * yy / count
    below = np.sqrt(np.maximum(spread_x, 0.0)) * np.sqrt(np.maximum(spread_y, 0.0))
    shared = xy / count - (x / count) * (y / count)
    both = varies_x & varies_y
    correlations = np.divide(shared, below, out=np.where(varies_x == varies_y, 1.0, 0.0), where=both)
    return np.asarray(np.clip(correlations, -1.0, 1.0))


def _correlation(left: Doubles, right: Doubles, confidence: float, seed: int) -> Estimate:
    moments = _moments(left, right)
    effects = _from_moments(moments.sum(axis=0) + moments)
    return interval(_kinds(effects), lambda weights: _from_moments(weights @ moments), confidence, seed)


def _kinds(effects: Doubles) -> Kinds:
    """Return every sample as its own kind; samples not drawn are assumed no worse than the worst one drawn."""
    return Kinds(np.ones(len(effects), dtype=np.int64), best=int(effects.argmax()), worst=int(effects.argmin()))
