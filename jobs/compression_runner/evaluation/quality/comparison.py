"""Quality of a compressed model compared with its baseline: every score that the answers allow, with intervals."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.errors import InvalidInput
from compression_runner.evaluation.quality.neighbours import nearest_neighbours
from compression_runner.evaluation.statistics.intervals import mean, negated, share
from compression_runner.evaluation.statistics.paired_bootstrap import Kinds, Weights, interval
from compression_runner.inference.answer_parts import AnswerPart, directed, part_cosines, whole
from compression_runner.inference.similarity import Floats, finite_rows
from compressionjob.estimate import Estimate
from compressionjob.objectives import QualityMetric

Classes = NDArray[np.int64]

CLASS_METRICS: Final[tuple[QualityMetric, ...]] = ("accuracy", "precision", "recall", "f1")
NAME_LENGTH: Final = 120
"""Characters of a part's name in a message."""


@dataclass(frozen=True)
class Score:
    """One metric: the baseline's score, the compressed model's score, and the drop.

    For an error metric (ERROR_METRICS), `drop` is the increase as a share of the baseline's error; None for a
    divergence from the baseline (DIVERGENCES), whose own is 0.
    """

    metric: QualityMetric
    baseline: Estimate
    compressed: Estimate
    drop: Estimate | None


@dataclass(frozen=True)
class PartScore:
    """The mean score of a part of the answers that is judged separately."""

    name: str
    metric: QualityMetric
    value: float


@dataclass(frozen=True)
class Quality:
    """Every score, the largest difference between two outputs, and how many outputs were not finite.

    `parts` are the separately judged parts, the worst first; empty for answers with one part. `other_size` names
    outputs whose size differs from the baseline's; `note` says why another CPU answers otherwise.
    """

    scores: dict[QualityMetric, Score]
    samples: int
    max_abs_difference: float
    non_finite_samples: int
    parts: tuple[PartScore, ...] = ()
    other_size: str = ""
    note: str = ""


def embedding_quality(
    baseline: Floats, compressed: Floats, confidence: float, seed: int = 0, parts: Sequence[AnswerPart] = ()
) -> Quality:
    """Compare embeddings (or flattened outputs) of shape (samples, dimensions), row by row.

    With several `parts`, a sample has the cosine of its worst part, and keeps its neighbour if it does so in all parts.
    A row of `compressed` that is not finite counts as a cosine of 0 and a lost neighbour. Raises InvalidInput if the
    baseline's rows are not finite.
    """
    require_finite_baseline(baseline)
    parts = parts or whole(baseline)
    by_part = part_cosines(baseline, compressed, parts)
    cosines = mean(by_part.min(axis=1), confidence, seed)
    part_scores = _part_scores("cosine", parts, by_part.mean(axis=0))
    scores: dict[QualityMetric, Score] = {"cosine": _of_worst(against_itself("cosine", cosines), part_scores)}
    if len(baseline) >= 3:
        sides = ((directed(baseline, part), directed(compressed, part)) for part in _varying(baseline, parts))
        kept = [nearest_neighbours(old) == nearest_neighbours(new) for old, new in sides]
        same = np.logical_and.reduce(kept) & finite_rows(compressed)
        scores["neighbours"] = against_itself("neighbours", share(same, confidence))
    return replace(quality_of(scores, baseline, compressed), parts=part_scores)


def _part_scores(
    metric: QualityMetric, parts: Sequence[AnswerPart], values: NDArray[np.float64]
) -> tuple[PartScore, ...]:
    """Return the score of each of several parts, the worst first."""
    order = values.argsort(kind="stable") if len(parts) > 1 else ()
    return tuple(PartScore(parts[place].name, metric, float(values[place])) for place in order)


def of_other_size(quality: Quality, outputs: str) -> Quality:
    """Add to a quality that these outputs of the compressed model differ in size from the baseline's."""
    reason = f"the compressed model's output {outputs[:NAME_LENGTH]} has another size than the baseline's"
    return replace(_explained(quality, reason), parts=(), non_finite_samples=0, other_size=outputs)


def of_broken_answers(quality: Quality) -> Quality:
    """Add to a quality how many answers of the compressed model are not finite, if any."""
    broken = f"{quality.non_finite_samples} of {quality.samples}"
    reason = f"the compressed model answers {broken} samples with NaN or infinity"
    return _explained(quality, reason) if quality.non_finite_samples else quality


def _explained(quality: Quality, reason: str) -> Quality:
    return replace(quality, scores={metric: _with_reason(score, reason) for metric, score in quality.scores.items()})


def _of_worst(score: Score, parts: Sequence[PartScore]) -> Score:
    """Return the score with the worst part as its reason."""
    if not parts:
        return score
    return _with_reason(score, f"the worst part is {parts[0].name[:NAME_LENGTH]}: {parts[0].value:.4f}")


def _with_reason(score: Score, reason: str) -> Score:
    update = {"reason": reason}
    drop = score.drop.model_copy(update=update) if score.drop else None
    return replace(score, compressed=score.compressed.model_copy(update=update), drop=drop)


def _varying(baseline: Floats, parts: Sequence[AnswerPart]) -> Sequence[AnswerPart]:
    """Return the parts that differ between samples, or all if none does: neighbours of equal rows are arbitrary."""
    return [part for part in parts if np.ptp(part.of(baseline), axis=0).any()] or parts


def classification_quality(
    baseline: Floats, compressed: Floats, labels: Classes | None, confidence: float, seed: int = 0
) -> Quality:
    """Compare class scores of shape (samples, classes); labels add accuracy, precision, recall and F1.

    Precision, recall and F1 are those of class 1 for two classes, and the mean over classes ("macro") for more, as
    scikit-learn computes them. A row of `compressed` that is not finite counts as a wrong answer with an extra class.
    Raises InvalidInput if the baseline's rows are not finite, if there is only one score, or if a label is not one of
    the classes.
    """
    require_finite_baseline(baseline)
    classes = baseline.shape[1]
    if classes < 2:
        problem = "the model answers with one number for each sample"
        remedy = "name a model with a score per class, or use task text-regression or tabular-regression"
        raise InvalidInput("InvalidModel", "spec.model.task", "classification", problem, remedy)
    before = baseline.argmax(axis=1).astype(np.int64)
    after = class_answers(compressed)
    scores: dict[QualityMetric, Score] = {"agreement": against_itself("agreement", share(before == after, confidence))}
    if labels is not None:
        require_classes(labels, classes)
        scores |= _labelled(labels, before, after, classes, confidence, seed)
    return quality_of(scores, baseline, compressed)


def require_classes(labels: Classes, classes: int) -> None:
    """Raise InvalidInput unless every label is one of `classes` classes."""
    outside = labels[(labels < 0) | (labels >= classes)]
    if len(outside):
        raise InvalidInput(
            "InvalidData",
            "spec.data.evaluation.columns.label",
            int(outside[0]),
            f"the model has {classes} classes",
            f"labels must be from 0 to {classes - 1}",
        )


def against_itself(metric: QualityMetric, estimate: Estimate) -> Score:
    """Return a score that is 1 for the baseline itself; the drop is the difference to 1."""
    drop = Estimate(value=1.0 - estimate.value, low=1.0 - estimate.high, high=1.0 - estimate.low)
    return Score(metric, baseline=Estimate.exact(1.0), compressed=estimate, drop=drop)


def class_answers(scores: Floats) -> Classes:
    """Return the class with the highest score, shape (samples,), from scores (samples, classes).

    A row that is not finite gets an extra class, whose index is the number of classes.
    """
    classes = scores.shape[1]
    answers = np.where(finite_rows(scores), np.nan_to_num(scores).argmax(axis=1), classes)
    return np.asarray(answers, dtype=np.int64)


def _labelled(
    labels: Classes, before: Classes, after: Classes, classes: int, confidence: float, seed: int
) -> dict[QualityMetric, Score]:
    """Return the scores that need labels."""
    seen, counts = np.unique(np.stack([labels, before, after], axis=1), axis=0, return_counts=True)
    possible = possible_answers(seen, classes)
    scores: dict[QualityMetric, Score] = {}
    for metric in CLASS_METRICS:
        old = class_statistic(metric, classes)
        scores[metric] = Score(
            metric,
            baseline=extreme_interval(seen, counts, possible, _of_column(old, 1), confidence, seed),
            compressed=extreme_interval(seen, counts, possible, _of_column(old, 2), confidence, seed),
            drop=negated(extreme_interval(seen, counts, possible, _gain(old), confidence, seed)),
        )
    return scores


_Statistic = Callable[[Classes, Classes, Weights], NDArray[np.float64]]
"""(labels, answers, weights of shape (rows, kinds)) -> score of shape (rows,)."""
_KindStatistic = Callable[[Classes, Weights], NDArray[np.float64]]
"""(kinds of shape (kinds, 3): label, baseline's answer, compressed model's answer; weights) -> figure."""


def _of_column(statistic: _Statistic, column: int) -> _KindStatistic:
    return lambda kinds, weights: statistic(kinds[:, 0], kinds[:, column], weights)


def _gain(statistic: _Statistic) -> _KindStatistic:
    return lambda kinds, weights: (
        statistic(kinds[:, 0], kinds[:, 2], weights) - statistic(kinds[:, 0], kinds[:, 1], weights)
    )


def extreme_interval(
    seen: Classes, counts: Classes, possible: Classes, statistic: _KindStatistic, confidence: float, seed: int
) -> Estimate:
    """Return the bootstrap interval whose additional sample is the worst, or the best, of `possible`."""
    kinds = np.concatenate([seen, possible])
    padded = np.concatenate([counts, np.zeros(len(kinds) - len(counts), dtype=np.int64)])
    with_one = padded[np.newaxis] + np.eye(len(kinds), dtype=np.int64)[len(counts) :]
    effects = np.concatenate([statistic(kinds, row[np.newaxis].astype(np.float64)) for row in with_one])
    worst, best = len(counts) + int(effects.argmin()), len(counts) + int(effects.argmax())
    used = np.concatenate([kinds[: len(counts)], kinds[[worst]], kinds[[best]]])
    one_more = Kinds(np.append(counts, [0, 0]).astype(np.int64), worst=len(counts), best=len(counts) + 1)
    return interval(one_more, lambda weights: statistic(used, weights), confidence, seed)


def possible_answers(seen: Classes, classes: int) -> Classes:
    """Return possible additional samples: the rarest and the most frequent label, each answer right or wrong."""
    labels, frequency = np.unique(seen[:, 0], return_counts=True)
    chosen = {int(labels[frequency.argmin()]), int(labels[frequency.argmax()])} | ({0, 1} if classes == 2 else set())
    return np.array(
        [
            (label, before, after)
            for label in sorted(chosen)
            for before in (label, (label + 1) % classes)
            for after in (label, (label + 1) % classes)
        ],
        dtype=np.int64,
    )


def class_statistic(metric: QualityMetric, classes: int) -> _Statistic:
    """Return the function that computes a metric of CLASS_METRICS from weights."""
    if metric == "accuracy":
        return lambda labels, answers, weights: weights @ (labels == answers) / weights.sum(axis=1)
    return lambda labels, answers, weights: _class_scores(metric, labels, answers, weights, classes)


def _class_scores(
    metric: QualityMetric, labels: Classes, answers: Classes, weights: Weights, classes: int
) -> NDArray[np.float64]:
    """Return weighted precision, recall or F1 of shape (rows,), as scikit-learn with zero_division=0."""
    every = np.arange(classes + 1)  # one more than the classes: the answer that is not finite
    is_label, is_answer = (labels[:, None] == every).astype(float), (answers[:, None] == every).astype(float)
    hits, truth, claims = weights @ (is_label * is_answer), weights @ is_label, weights @ is_answer
    below = {"precision": claims, "recall": truth, "f1": (claims + truth) / 2.0}[metric]
    each = np.divide(hits, below, out=np.zeros_like(hits), where=below > 0)
    if classes == 2:
        return np.asarray(each[:, 1], dtype=np.float64)
    present = truth + claims > 0
    return np.asarray(each.sum(axis=1) / present.sum(axis=1), dtype=np.float64)


def quality_of(scores: dict[QualityMetric, Score], baseline: Floats, compressed: Floats) -> Quality:
    """Add figures of the outputs themselves to the scores; both sides have the shape (samples, values)."""
    finite = finite_rows(compressed)
    apart = np.abs(baseline[finite] - compressed[finite])
    return Quality(
        scores=scores,
        samples=len(baseline),
        max_abs_difference=float(apart.max()) if apart.size else float("inf"),
        non_finite_samples=int(np.count_nonzero(~finite)),
    )


def require_finite_baseline(baseline: Floats) -> None:
    """Raise InvalidInput if an answer of the baseline is not finite."""
    bad = np.flatnonzero(~finite_rows(baseline))
    if len(bad):
        raise InvalidInput(
            "InvalidModel",
            "spec.model.source",
            f"sample {int(bad[0])}",
            "the baseline itself answers with NaN or infinity",
            "give a model and data for which it does not",
        )


def unchanged(quality: Quality) -> Quality:
    """Return the quality of a model that is bit-identical to its baseline: every drop is exactly 0."""
    nothing = Estimate.exact(0.0)
    scores = {name: replace(score, drop=nothing if score.drop else None) for name, score in quality.scores.items()}
    return replace(quality, scores=scores)
