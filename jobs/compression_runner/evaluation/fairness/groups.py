"""Scores and errors by group: the worst group and the gap between groups, of both models.

The figures are those of fairlearn's MetricFrame. The intervals are computed here: MetricFrame's bootstrap takes
percentiles of the extremes over groups, and an extreme of noisy figures is biased outwards, even for equal groups. So
each group has its own interval, all of them hold together (Bonferroni), and the bounds of the extremes follow.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from fairlearn.metrics import MetricFrame
from numpy.typing import NDArray
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    mean_absolute_error,
    mean_squared_error,
    precision_score,
    recall_score,
)

from compression_runner.evaluation.quality.comparison import (
    Classes,
    class_answers,
    class_statistic,
    extreme_interval,
    possible_answers,
)
from compression_runner.evaluation.quality.error_scores import LARGEST, mean_error
from compression_runner.evaluation.statistics.intervals import negated, share
from compression_runner.evaluation.statistics.paired_bootstrap import Kinds, Weights, interval
from compression_runner.evaluation.statistics.paired_shares import each_of, worst_loss, worst_score
from compression_runner.inference.similarity import Floats
from compressionjob.estimate import Estimate
from compressionjob.trust_limits import FAIRNESS_ERRORS, FairnessMetric
from compressionjob.trust_report import GroupFigures, GroupsReport

Doubles = NDArray[np.float64]
Numbers = NDArray[np.int64]
"""The number of each sample's group, shape (samples,)."""
Interval = Callable[[int, float], Estimate]
"""(group, confidence) -> the group's figure with an interval."""

_REFERENCE: Final = {"precision": precision_score, "recall": recall_score, "f1": f1_score}


@dataclass(frozen=True)
class GroupScores:
    """The figure of every group for one model, and the function that computes a group's interval."""

    figures: Sequence[float]
    of: Interval


@dataclass(frozen=True)
class GroupComparison:
    """Groups of samples: names, each sample's group, both models' scores, and the increase of the gap."""

    names: Sequence[str]
    numbers: Numbers
    baseline: GroupScores
    compressed: GroupScores
    increase: Callable[[float], Estimate]


def groups_of_classes(
    baseline: Floats,
    compressed: Floats,
    labels: Classes,
    groups: Sequence[str],
    column: str,
    metric: FairnessMetric,
    confidence: float,
    *,
    same: bool,
) -> GroupsReport:
    """Compare class scores (samples, classes) by group; `same` means that the models are identical."""
    names, numbers = _numbered(groups)
    classes = baseline.shape[1]
    answers = [class_answers(side) for side in (baseline, compressed)]
    sides = [
        GroupScores(
            _reference(metric, labels, side, groups, names, classes),
            lambda group, level, side=side: _class_interval(  # type: ignore[misc]
                metric, labels[numbers == group], side[numbers == group], classes, level
            ),
        )
        for side in answers
    ]
    increase = _class_increase(metric, labels, answers[0], answers[1], numbers, classes)
    comparison = GroupComparison(names, numbers, sides[0], sides[1], increase)
    return _report(comparison, column, metric, confidence, same=same)


def groups_of_numbers(
    baseline: Floats,
    compressed: Floats,
    targets: Floats,
    groups: Sequence[str],
    column: str,
    metric: FairnessMetric,
    confidence: float,
    *,
    same: bool,
) -> GroupsReport:
    """Compare the mae or mse of predictions (samples, 1) with targets (samples,), by group."""
    names, numbers = _numbered(groups)
    truth = targets.astype(np.float64)
    predicted = [
        np.nan_to_num(side[:, 0], nan=LARGEST, posinf=LARGEST, neginf=-LARGEST) for side in (baseline, compressed)
    ]
    power = 2 if metric == "mse" else 1
    errors = [np.abs(side.astype(np.float64) - truth) ** power for side in predicted]
    sides = [
        GroupScores(
            _reference(metric, truth, side.astype(np.float64), groups, names, 0),
            lambda group, level, error=error: _error_interval(error[numbers == group], level),  # type: ignore[misc]
        )
        for side, error in zip(predicted, errors, strict=True)
    ]
    increase = _number_increase(errors[0], errors[1], numbers, len(names))
    comparison = GroupComparison(names, numbers, sides[0], sides[1], increase)
    return _report(comparison, column, metric, confidence, same=same)


def gap(side: GroupScores, groups: int, confidence: float) -> Estimate:
    """Return the difference between the largest and the least figure of a model's groups, with its interval.

    Each difference of two groups has the interval of G. Y. Zou, A. Donner (Construction of confidence limits about
    effect measures, Statistics in Medicine 27, 2008), which for two shares is R. G. Newcombe's; all of them hold
    together.
    """
    level = each_of(groups * (groups - 1) // 2, confidence)
    estimates = [side.of(group, level) for group in range(groups)]
    low, high = 0.0, 0.0
    for one, other in combinations(estimates, 2):
        upper, lower = (one, other) if one.value >= other.value else (other, one)
        apart = upper.value - lower.value
        low = max(low, apart - np.hypot(upper.value - upper.low, lower.high - lower.value))
        high = max(high, apart + np.hypot(upper.high - upper.value, lower.value - lower.low))
        high = max(high, np.hypot(lower.high - lower.value, upper.value - upper.low) - apart)
    value = max(side.figures) - min(side.figures)
    return Estimate(value=value, low=min(low, value), high=max(high, value))


def _report(
    comparison: GroupComparison, column: str, metric: FairnessMetric, confidence: float, *, same: bool
) -> GroupsReport:
    count, is_error = len(comparison.names), metric in FAIRNESS_ERRORS
    level = each_of(count, confidence)
    worst = worst_loss if is_error else worst_score
    sides = [[side.of(group, level) for group in range(count)] for side in (comparison.baseline, comparison.compressed)]
    figures = [
        GroupFigures(name=name, samples=int(np.sum(comparison.numbers == group)), baseline=before, compressed=after)
        for group, (name, before, after) in enumerate(zip(comparison.names, *sides, strict=True))
    ]
    return GroupsReport(
        column=column,
        metric=metric,
        groups=sorted(figures, key=lambda group: group.compressed.value, reverse=is_error),
        baseline_worst=worst(sides[0]),
        compressed_worst=worst(sides[1]),
        baseline_gap=gap(comparison.baseline, count, confidence),
        compressed_gap=gap(comparison.compressed, count, confidence),
        gap_increase=Estimate.exact(0.0) if same else comparison.increase(confidence),
    )


def _numbered(groups: Sequence[str]) -> tuple[list[str], Numbers]:
    names, numbers = np.unique(np.asarray(groups), return_inverse=True)
    return [str(name) for name in names], numbers.astype(np.int64)


def _reference(
    metric: FairnessMetric,
    truth: NDArray[np.generic],
    answers: NDArray[np.generic],
    groups: Sequence[str],
    names: Sequence[str],
    classes: int,
) -> list[float]:
    """Return a metric by group, in the order of `names`, as fairlearn and scikit-learn compute it."""
    frame = MetricFrame(
        metrics=_metric(metric, classes), y_true=truth, y_pred=answers, sensitive_features=np.asarray(groups)
    )
    return [float(frame.by_group[name]) for name in names]


def _metric(metric: FairnessMetric, classes: int) -> Callable[..., float]:
    plain: Mapping[str, Callable[..., float]] = {
        "accuracy": accuracy_score,
        "mae": mean_absolute_error,
        "mse": mean_squared_error,
    }
    if metric in plain:
        return plain[metric]
    score = _REFERENCE[metric]
    if classes == 2:
        # An answer that is not finite has a third class: the score is that of class 1 alone.
        return lambda truth, answers: float(score(truth, answers, labels=[1], average="macro", zero_division=0))
    return lambda truth, answers: float(score(truth, answers, average="macro", zero_division=0))


def _class_interval(
    metric: FairnessMetric, labels: Classes, answers: Classes, classes: int, confidence: float
) -> Estimate:
    if metric == "accuracy":
        return share(labels == answers, confidence)
    seen, counts = np.unique(np.stack([labels, answers, answers], axis=1), axis=0, return_counts=True)
    statistic = class_statistic(metric, classes)
    possible = possible_answers(seen, classes)
    return extreme_interval(
        seen, counts, possible, lambda kinds, weights: statistic(kinds[:, 0], kinds[:, 1], weights), confidence, 0
    )


def _error_interval(errors: Doubles, confidence: float) -> Estimate:
    return mean_error(errors, np.ones(len(errors)), confidence, 0)


def _class_increase(
    metric: FairnessMetric, labels: Classes, before: Classes, after: Classes, numbers: Numbers, classes: int
) -> Callable[[float], Estimate]:
    """Return the estimator of the increase of the gap: a paired bootstrap over the samples of all groups."""
    statistic = class_statistic(metric, classes)
    rows = np.stack([labels, before, after], axis=1)
    seen, counts = np.unique(np.column_stack([rows, numbers]), axis=0, return_counts=True)
    each = [possible_answers(rows[numbers == group], classes) for group in range(int(numbers.max()) + 1)]
    possible = np.concatenate(
        [np.column_stack([kinds, np.full(len(kinds), group)]) for group, kinds in enumerate(each)]
    )

    def gain(kinds: Classes, weights: Weights) -> Doubles:
        widths = []
        for column in (1, 2):
            members = [kinds[:, 3] == group for group in range(len(each))]
            figures = [statistic(kinds[m, 0], kinds[m, column], weights[:, m]) for m in members]
            widths.append(np.ptp(np.stack(figures, axis=1), axis=1))
        return np.asarray(widths[0] - widths[1])

    return lambda confidence: negated(extreme_interval(seen, counts, possible, gain, confidence, 0))


def _number_increase(before: Doubles, after: Doubles, numbers: Numbers, groups: int) -> Callable[[float], Estimate]:
    members = np.eye(groups)[numbers]

    def gain(weights: Weights) -> Doubles:
        sizes = weights @ members
        widths = [np.ptp((weights * errors) @ members / sizes, axis=1) for errors in (before, after)]
        return np.asarray(widths[0] - widths[1])

    # One more sample of a group is assumed to change no more than the sample of the group that changed most.
    changes = after - before
    extremes = {
        int(rows[position])
        for rows in (np.flatnonzero(numbers == group) for group in range(groups))
        for position in (changes[rows].argmax(), changes[rows].argmin())
    }
    candidates = np.array(sorted(extremes))
    counts = np.ones(len(before), dtype=np.int64)
    effects = gain(1.0 + np.eye(len(before))[candidates])
    kinds = Kinds(counts, best=int(candidates[effects.argmax()]), worst=int(candidates[effects.argmin()]))
    return lambda confidence: negated(interval(kinds, gain, confidence))
