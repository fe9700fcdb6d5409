"""Shares of right answers of two models on the same samples, with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.statistics.intervals import negated, share
from compression_runner.evaluation.statistics.paired_bootstrap import Kinds, Weights, interval
from compressionjob.estimate import Estimate

Marks = NDArray[np.bool_]
"""Marks the samples that are answered rightly, shape (samples,)."""


@dataclass(frozen=True)
class Shares:
    """The share of right answers of the baseline and of the compressed model, and the drop between them."""

    baseline: Estimate
    compressed: Estimate
    drop: Estimate


def shares(before: Marks, after: Marks, confidence: float, seed: int = 0) -> Shares:
    """Return both shares with Clopper and Pearson's exact interval, and their difference on the same samples.

    The difference comes from a bootstrap whose additional sample is one that only the baseline, or only the compressed
    model, answers rightly.
    """
    broken, fixed = int(np.sum(before & ~after)), int(np.sum(~before & after))
    counts = np.array([len(before) - broken - fixed, broken, fixed], dtype=np.int64)
    gains = np.array([0.0, -1.0, 1.0])

    def gain(weights: Weights) -> NDArray[np.float64]:
        return np.asarray(weights @ gains / weights.sum(axis=1), dtype=np.float64)

    difference = interval(Kinds(counts, best=2, worst=1), gain, confidence, seed)
    return Shares(share(before, confidence), share(after, confidence), negated(difference))


def identical(measured: Shares) -> Shares:
    """Return the shares of a model that is bit-identical to its baseline: the drop is exactly 0."""
    return replace(measured, drop=Estimate.exact(0.0))


def worst_score(scores: Sequence[Estimate]) -> Estimate:
    """Return the minimum of scores whose intervals hold together, with an interval that also holds."""
    return Estimate(
        value=min(score.value for score in scores),
        low=min(score.low for score in scores),
        high=min(score.high for score in scores),
    )


def worst_loss(losses: Sequence[Estimate]) -> Estimate:
    """Return the maximum of losses or errors whose intervals hold together, with an interval that also holds."""
    return negated(worst_score([negated(loss) for loss in losses]))


def each_of(count: int, confidence: float) -> float:
    """Return the confidence at which each of `count` intervals must hold for all to hold together (Bonferroni)."""
    return 1.0 - (1.0 - confidence) / max(1, count)
