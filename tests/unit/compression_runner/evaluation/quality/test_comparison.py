"""Quality scores against scikit-learn and by hand, and their intervals against known populations."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from compression_runner.errors import InvalidInput
from compression_runner.evaluation.quality.comparison import (
    classification_quality,
    embedding_quality,
    unchanged,
)
from compression_runner.evaluation.quality.neighbours import nearest_neighbours
from compression_runner.evaluation.statistics import paired_bootstrap
from compression_runner.inference.answer_parts import OutputShape, split_answers
from compression_runner.inference.similarity import Floats, row_cosines
from compressionjob.objectives import QualityMetric


def _classifier(classes: int, count: int = 400, noise: float = 1.0) -> tuple[NDArray[np.int64], Floats, Floats]:
    generator = np.random.default_rng(classes)
    labels = generator.integers(0, classes, count)
    baseline = (np.eye(classes)[labels] * 2 + generator.normal(0, 1, (count, classes))).astype(np.float32)
    compressed = (baseline + generator.normal(0, noise, baseline.shape)).astype(np.float32)
    return labels.astype(np.int64), baseline, compressed


SKLEARN: dict[QualityMetric, Callable[..., float]] = {
    "precision": precision_score,
    "recall": recall_score,
    "f1": f1_score,
}


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_scores_are_scikit_learns(classes: int) -> None:
    labels, baseline, compressed = _classifier(classes)
    scores = classification_quality(baseline, compressed, labels, 0.95).scores
    average = "binary" if classes == 2 else "macro"
    for side, answers in (("baseline", baseline.argmax(1)), ("compressed", compressed.argmax(1))):
        assert getattr(scores["accuracy"], side).value == pytest.approx(accuracy_score(labels, answers))
        for metric, function in SKLEARN.items():
            expected = function(labels, answers, average=average, zero_division=0)
            assert getattr(scores[metric], side).value == pytest.approx(expected)
    agreement = np.mean(baseline.argmax(1) == compressed.argmax(1))
    assert scores["agreement"].compressed.value == pytest.approx(agreement)
    assert scores["agreement"].baseline.value == 1.0


def test_a_class_without_labels_counts_as_in_scikit_learn() -> None:
    labels = np.array([0, 0, 1, 1], dtype=np.int64)
    baseline = np.eye(4, dtype=np.float32)[[0, 0, 1, 1]]
    compressed = np.eye(4, dtype=np.float32)[[0, 2, 1, 1]]
    scores = classification_quality(baseline, compressed, labels, 0.95).scores
    expected = f1_score(labels, [0, 2, 1, 1], average="macro", zero_division=0)
    assert scores["f1"].compressed.value == pytest.approx(expected)


def test_drop_is_the_difference_and_lies_in_its_interval() -> None:
    labels, baseline, compressed = _classifier(5)
    for score in classification_quality(baseline, compressed, labels, 0.95).scores.values():
        assert score.drop.value == pytest.approx(score.baseline.value - score.compressed.value)
        assert score.drop.low <= score.drop.value <= score.drop.high


def test_no_loss_in_the_samples_still_has_an_interval() -> None:
    """With no change in 100 answers, Clopper and Pearson still allow 3.6 % of them at 95 %."""
    labels, baseline, _ = _classifier(3, count=100)
    scores = classification_quality(baseline, baseline, labels, 0.95).scores
    assert scores["agreement"].drop.value == 0.0
    assert scores["agreement"].drop.high == pytest.approx(stats.beta.ppf(0.975, 1, 100))
    assert scores["accuracy"].drop.high == pytest.approx(0.036, abs=0.005)
    assert scores["f1"].drop.high > 0.02


def test_an_identical_model_loses_nothing() -> None:
    labels, baseline, _ = _classifier(3)
    quality = unchanged(classification_quality(baseline, baseline, labels, 0.95))
    assert {(s.drop.low, s.drop.value, s.drop.high) for s in quality.scores.values()} == {(0.0, 0.0, 0.0)}


@pytest.mark.parametrize(("lost", "won"), [(0.02, 0.0), (0.05, 0.03), (0.005, 0.0)])
def test_accuracy_interval_covers_the_true_drop(lost: float, won: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired_bootstrap, "RESAMPLES", 600)
    generator = np.random.default_rng(2)
    runs, held, count = 250, 0, 300
    labels = np.zeros(count, dtype=np.int64)
    scores = np.eye(3, dtype=np.float32)
    for _ in range(runs):
        kind = generator.choice(3, size=count, p=[lost, won, 1 - lost - won])
        baseline, compressed = scores[np.where(kind == 1, 1, 0)], scores[np.where(kind == 0, 1, 0)]
        drop = classification_quality(baseline, compressed, labels, 0.95).scores["accuracy"].drop
        held += drop.low <= lost - won <= drop.high
    assert held / runs >= 0.94


def test_cosine_interval_covers_the_true_drop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paired_bootstrap, "RESAMPLES", 600)
    generator = np.random.default_rng(4)
    runs, held = 250, 0
    for _ in range(runs):
        angles = generator.gamma(2.0, 0.05, size=200)
        baseline = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (200, 1))
        compressed = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
        drop = embedding_quality(baseline, compressed, 0.95).scores["cosine"].drop
        held += drop.low <= _TRUE_COSINE_DROP <= drop.high
    assert held / runs >= 0.93


_TRUE_COSINE_DROP = 1.0 - ((1 / (1 - 0.05j)) ** 2).real
"""1 - E[cos(angle)] for angle ~ Gamma(2, 0.05): the characteristic function at 1 is (1 - 0.05i)^-2."""


def test_cosines_by_hand() -> None:
    baseline = np.array([[1, 0], [1, 1], [0, 0], [3, 4]], dtype=np.float32)
    compressed = np.array([[0, 2], [2, 2], [0, 0], [np.nan, 1]], dtype=np.float32)
    assert row_cosines(baseline, compressed) == pytest.approx([0.0, 1.0, 1.0, 0.0])


def test_nearest_neighbours_by_hand() -> None:
    rows = np.array([[1, 0], [10, 1], [0, 1], [1, 9]], dtype=np.float32)
    assert nearest_neighbours(rows).tolist() == [1, 0, 3, 2]


def test_nearest_neighbours_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    whole = nearest_neighbours(rows)
    monkeypatch.setattr("compression_runner.evaluation.quality.neighbours.ROWS", 7)
    assert nearest_neighbours(rows).tolist() == whole.tolist()


def test_outputs_that_are_not_finite_count_as_lost() -> None:
    labels, baseline, _ = _classifier(3, count=40)
    broken = baseline.copy()
    broken[:10] = np.nan
    quality = classification_quality(baseline, broken, labels, 0.95)
    assert quality.non_finite_samples == 10
    assert quality.scores["agreement"].compressed.value == pytest.approx(30 / 40)
    vectors = embedding_quality(baseline, broken, 0.95)
    assert vectors.scores["cosine"].drop.value == pytest.approx(0.25)


def test_a_baseline_that_is_not_finite_is_refused() -> None:
    baseline = np.array([[1.0, np.inf]], dtype=np.float32)
    with pytest.raises(InvalidInput, match="NaN or infinity"):
        embedding_quality(baseline, baseline, 0.95)


def test_a_label_outside_the_classes_is_refused() -> None:
    _, baseline, compressed = _classifier(3, count=4)
    with pytest.raises(InvalidInput, match=r"columns\.label.*3.*from 0 to 2"):
        classification_quality(baseline, compressed, np.array([0, 1, 2, 3], dtype=np.int64), 0.95)


def test_two_samples_have_no_neighbours() -> None:
    rows = np.eye(2, dtype=np.float32)
    assert set(embedding_quality(rows, rows, 0.95).scores) == {"cosine"}


def test_a_sample_counts_as_its_worst_part() -> None:
    generator = np.random.default_rng(0)
    baseline = (generator.random((60, 12)) * ([640.0] * 4 + [1.0] * 8)).astype(np.float32)
    destroyed = baseline.copy()
    destroyed[:, 4:] = generator.random((60, 8)) < 0.2
    joined = embedding_quality(baseline, destroyed, 0.95)
    assert joined.scores["cosine"].compressed.value > 0.9999
    assert joined.parts == ()
    parts = split_answers(baseline, [OutputShape("out", (12,), (True,))])
    quality = embedding_quality(baseline, destroyed, 0.95, parts=parts)
    score = quality.scores["cosine"]
    assert [part.name for part in quality.parts] == ["out, channels 4-11", "out, channels 0-3"]
    assert score.compressed.value == pytest.approx(quality.parts[0].value)
    assert score.compressed.value < 0.7
    assert score.drop.reason == f"the worst part is out, channels 4-11: {quality.parts[0].value:.4f}"
    assert quality.scores["neighbours"].compressed.value < joined.scores["neighbours"].compressed.value


def test_a_part_that_never_varies_has_no_neighbours() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    baseline = np.concatenate([rows, np.full((20, 3), 2.0, np.float32)], axis=1)
    noisy = baseline.copy()
    noisy[:, 4:] += np.random.default_rng(1).normal(scale=1e-5, size=(20, 3)).astype(np.float32)
    outputs = [OutputShape("rows", (4,), (True,)), OutputShape("constant", (3,), (True,))]
    quality = embedding_quality(baseline, noisy, 0.95, parts=split_answers(baseline, outputs))
    assert quality.scores["neighbours"].compressed.value == 1.0
