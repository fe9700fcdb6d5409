"""Quality of a multi-label model, with scikit-learn's metrics of labels that are set or not."""

from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.multi_label import MultiLabel
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.quality.bounded import bounded_mean, bounded_score
from compression_runner.evaluation.quality.comparison import (
    Quality,
    Score,
    against_itself,
    quality_of,
    require_finite_baseline,
)
from compression_runner.evaluation.statistics.intervals import negated, share
from compression_runner.evaluation.statistics.paired_bootstrap import Kinds, Weights, interval
from compression_runner.inference.similarity import Floats, finite_rows
from compressionjob.estimate import Estimate
from compressionjob.objectives import QualityMetric

Sets = NDArray[np.bool_]
"""Which labels are set, shape (samples, labels)."""
Triples = NDArray[np.bool_]
"""Kinds of samples, shape (kinds, 3, labels): the truth, the baseline's answer, the compressed model's answer."""
Doubles = NDArray[np.float64]
Counted = Literal["precision", "recall", "f1"]

BY_LABEL: Final[dict[QualityMetric, tuple[Counted, bool]]] = {
    "precision": ("precision", False),
    "recall": ("recall", False),
    "f1": ("f1", False),
    "f1Macro": ("f1", False),
    "f1Micro": ("f1", True),
}
"""The score of each metric, and whether it is over all labels at once (micro) or the mean over labels (macro)."""

TRUTH: Final = (False, True)


def multi_label_quality(
    baseline: Floats,
    compressed: Floats,
    labels: NDArray[np.int64] | None,
    reading: MultiLabel,
    confidence: float,
    seed: int = 0,
) -> Quality:
    """Compare scores of shape (samples, labels), and with `labels` of 0 and 1, same shape, their accuracy.

    A row of `compressed` that is not finite counts as wrong for each of its labels. Raises InvalidInput if the
    baseline's rows are not finite, or if there is not one label for each score.
    """
    require_finite_baseline(baseline)
    before, after = label_decisions(baseline, compressed, reading)
    same = before == after
    alike = bounded_mean(same.mean(axis=1), (0.0, 1.0), confidence, seed)
    scores: dict[QualityMetric, Score] = {
        "agreement": against_itself("agreement", alike),
        "subsetAgreement": against_itself("subsetAgreement", share(same.all(axis=1), confidence)),
    }
    if labels is not None:
        require_labels(labels, baseline.shape[1])
        scores |= _labelled(labels.astype(np.bool_), before, after, finite_rows(compressed), confidence, seed)
    return quality_of(scores, baseline, compressed)


def label_decisions(baseline: Floats, compressed: Floats, reading: MultiLabel) -> tuple[Sets, Sets]:
    """Return which labels each model sets; rows of `compressed` that are not finite set the opposite labels."""
    threshold = reading.threshold(baseline)
    before = baseline > threshold
    after = np.nan_to_num(compressed, nan=-np.inf) > threshold
    return before, np.where(finite_rows(compressed)[:, np.newaxis], after, ~before)


def require_labels(labels: NDArray[np.int64], count: int) -> None:
    """Raise InvalidInput unless there is a label for each of `count` scores."""
    if labels.ndim != 2 or labels.shape[1] != count:
        there = labels.shape[1] if labels.ndim == 2 else 1
        problem, remedy = f"the model has {count} labels", "give a 0 or a 1 for each of them"
        raise InvalidInput("InvalidData", "spec.data.evaluation.columns.label", f"{there} values", problem, remedy)


def _labelled(
    right: Sets, before: Sets, after: Sets, finite: NDArray[np.bool_], confidence: float, seed: int
) -> dict[QualityMetric, Score]:
    after = np.where(finite[:, np.newaxis], after, ~right)
    hits = [side == right for side in (before, after)]
    scores: dict[QualityMetric, Score] = {
        "accuracy": bounded_score("accuracy", hits[0].mean(axis=1), hits[1].mean(axis=1), confidence, seed)
    }
    seen, counts = np.unique(np.stack([right, before, after], axis=1), axis=0, return_counts=True)
    possible = _possible(right)
    for metric, (counted, micro) in BY_LABEL.items():
        scores[metric] = _score(metric, seen, counts, possible, _statistic(counted, micro=micro), confidence, seed)
    whole = [side.all(axis=1).astype(np.float64) for side in hits]
    scores["subsetAccuracy"] = bounded_score("subsetAccuracy", whole[0], whole[1], confidence, seed)
    return scores


_Statistic = Callable[[Sets, Sets, Weights], Doubles]
"""(right, answers, both of shape (kinds, labels), weights of shape (rows, kinds)) -> score of shape (rows,)."""


def _score(
    metric: QualityMetric,
    seen: Triples,
    counts: NDArray[np.int64],
    possible: Triples,
    statistic: _Statistic,
    confidence: float,
    seed: int,
) -> Score:
    def side(place: int) -> Callable[[Triples, Weights], Doubles]:
        return lambda kinds, weights: statistic(kinds[:, 0], kinds[:, place], weights)

    def gain(kinds: Triples, weights: Weights) -> Doubles:
        return side(2)(kinds, weights) - side(1)(kinds, weights)

    sides = [_interval(seen, counts, possible, side(place), confidence, seed) for place in (1, 2)]
    drop = negated(_interval(seen, counts, possible, gain, confidence, seed))
    return Score(metric, baseline=sides[0], compressed=sides[1], drop=drop)


def _interval(
    seen: Triples,
    counts: NDArray[np.int64],
    possible: Triples,
    figure: Callable[[Triples, Weights], Doubles],
    confidence: float,
    seed: int,
) -> Estimate:
    """Return the bootstrap interval whose additional sample is the worst, or the best, of `possible`."""
    kinds = np.concatenate([seen, possible])
    given = np.concatenate([counts, np.zeros(len(possible), dtype=np.int64)])
    with_one = given[np.newaxis] + np.eye(len(kinds), dtype=np.int64)[len(counts) :]
    effects = figure(kinds, with_one.astype(np.float64))
    used = np.concatenate([seen, possible[[int(effects.argmin())]], possible[[int(effects.argmax())]]])
    one_more = Kinds(np.append(counts, [0, 0]).astype(np.int64), worst=len(counts), best=len(counts) + 1)
    return interval(one_more, lambda weights: figure(used, weights), confidence, seed)


def _possible(right: Sets) -> Triples:
    """Return possible additional samples, each answer right or all wrong.

    A sample has no label, the rarest label, the most frequent label, or all labels.
    """
    count, often = right.shape[1], right.sum(axis=0)
    one = np.eye(count, dtype=np.bool_)
    rows = [np.zeros(count, np.bool_), one[often.argmin()], one[often.argmax()], np.ones(count, np.bool_)]
    return np.stack([np.stack([row, row ^ first, row ^ last]) for row in rows for first in TRUTH for last in TRUTH])


def _statistic(counted: Counted, *, micro: bool) -> _Statistic:
    """Return the function for weighted precision, recall or F1, as scikit-learn with zero_division=0."""

    def figure(right: Sets, answers: Sets, weights: Weights) -> Doubles:
        sums = [weights @ part.astype(np.float64) for part in (right & answers, right, answers)]
        hits, truth, claims = (part.sum(axis=1, keepdims=True) for part in sums) if micro else sums
        below = {"precision": claims, "recall": truth, "f1": (claims + truth) / 2.0}[counted]
        each = np.divide(hits, below, out=np.zeros_like(hits), where=below > 0)
        return np.asarray(each.mean(axis=1), dtype=np.float64)

    return figure
