"""Quality of a compressed language model compared with its baseline, with intervals over windows of text.

Perplexity is e to the mean loss of the next token (F. Jelinek et al., Perplexity - a measure of the difficulty of
speech recognition tasks, 1977). Both models read the same windows, so the ratio of their perplexities is e to the mean
difference of their losses, and what makes a window hard for both drops out of its interval.

The divergence of the next token's distribution from the baseline's (`divergences`) shows differences that cancel out in
the perplexity, where one text becomes more likely and another less.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.answers.next_tokens import NOT_COUNTED
from compression_runner.evaluation.quality.comparison import Quality, Score, against_itself, require_finite_baseline
from compression_runner.evaluation.quality.divergence_scores import divergence_scores
from compression_runner.evaluation.statistics.intervals import negated
from compression_runner.evaluation.statistics.paired_bootstrap import Kinds, Weights, interval
from compression_runner.inference.similarity import Floats
from compressionjob.estimate import Estimate
from compressionjob.objectives import QualityMetric

LOSS_OF_NOTHING: Final = 100.0
"""Loss in nats of a place whose answer is not finite: far more than any guess."""


def language_quality(baseline: Floats, compressed: Floats, confidence: float, seed: int = 0) -> Quality:
    """Compare the results of `next_tokens` for two models, shape (windows, 3, places).

    Tokens of one window depend on each other, so the intervals are over windows. They assume that windows that were not
    drawn are no worse than the worst one drawn. Raises InvalidInput if the baseline's losses are not finite.
    """
    require_finite_baseline(baseline[:, 0])
    counted = baseline[:, 1] != NOT_COUNTED
    places = counted.sum(axis=1).astype(np.float64)
    finite = np.isfinite(compressed[:, 0])
    old = _sums(baseline[:, 0], counted)
    new = _sums(np.where(finite, compressed[:, 0], LOSS_OF_NOTHING), counted)
    same = _sums((baseline[:, 1] == compressed[:, 1]) & finite, counted)
    apart = np.abs(baseline[:, 0] - compressed[:, 0])[finite & counted]
    scores: dict[QualityMetric, Score] = {
        "perplexity": Score(
            "perplexity",
            baseline=_exponential(old, places, confidence, seed),
            compressed=_exponential(new, places, confidence, seed),
            drop=_increase(new - old, places, confidence, seed),
        ),
        "agreement": against_itself("agreement", _share(same, places, confidence, seed)),
    }
    if not np.isnan(compressed[:, 2]).any():
        scores |= divergence_scores(compressed[:, 2], counted, confidence, seed)
    return Quality(
        scores=scores,
        samples=len(baseline),
        max_abs_difference=float(apart.max()) if apart.size else float("inf"),
        non_finite_samples=int(np.count_nonzero(~(finite | ~counted).all(axis=1))),
    )


def _sums(values: NDArray[np.generic], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the sum over the counted places of each window, shape (windows,)."""
    return np.asarray(np.where(counted, values, 0.0).sum(axis=1, dtype=np.float64))


def _exponential(sums: NDArray[np.float64], places: NDArray[np.float64], confidence: float, seed: int) -> Estimate:
    """Return e to the mean over all places."""

    def statistic(weights: Weights) -> NDArray[np.float64]:
        return -np.exp(_mean(weights, sums, places))

    return negated(interval(_windows(-sums / places), statistic, confidence, seed))


def _increase(sums: NDArray[np.float64], places: NDArray[np.float64], confidence: float, seed: int) -> Estimate:
    """Return the relative growth of the perplexity, from sums of differences of losses."""

    def statistic(weights: Weights) -> NDArray[np.float64]:
        return -np.expm1(_mean(weights, sums, places))

    return negated(interval(_windows(-sums / places), statistic, confidence, seed))


def _share(sums: NDArray[np.float64], places: NDArray[np.float64], confidence: float, seed: int) -> Estimate:
    return interval(_windows(sums / places), lambda weights: _mean(weights, sums, places), confidence, seed)


def _mean(weights: Weights, sums: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over places for weights of windows, shape (rows, windows), as an array of shape (rows,)."""
    return np.asarray((weights @ sums) / (weights @ places))


def _windows(good: NDArray[np.float64]) -> Kinds:
    """Return every window as its own kind; `good` orders them, the highest being the best."""
    return Kinds(np.ones(len(good), dtype=np.int64), best=int(good.argmax()), worst=int(good.argmin()))
