"""Figures by group against scikit-learn, and intervals of the worst group and of the gap against known populations."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, mean_absolute_error, mean_squared_error, recall_score

from compression_runner.evaluation.fairness.groups import groups_of_classes, groups_of_numbers
from compressionjob.trust_report import GroupsReport

NAMES = np.array(["a", "b", "c"])


def scores(answers: np.ndarray, classes: int = 2) -> np.ndarray:
    return np.asarray(np.eye(classes, dtype=np.float32)[answers])


def draw(
    generator: np.random.Generator, sizes: list[int], right: list[float]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Labels, answers that are right as often as said in each group, and the groups."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    labels = generator.integers(0, 2, len(groups))
    hit = generator.random(len(groups)) < np.asarray(right)[groups]
    return labels, np.where(hit, labels, 1 - labels), [str(name) for name in NAMES[groups]]


def compare(
    labels: np.ndarray, before: np.ndarray, after: np.ndarray, groups: list[str], **more: object
) -> GroupsReport:
    settings: dict[str, object] = {"column": "g", "metric": "accuracy", "confidence": 0.95, "same": False} | more
    return groups_of_classes(scores(before), scores(after), labels, groups, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(("metric", "reference"), [("recall", recall_score), ("f1", f1_score)])
def test_figures_are_scikit_learns(metric: str, reference: object) -> None:
    generator = np.random.default_rng(1)
    labels, before, groups = draw(generator, [80, 60, 40], [0.9, 0.8, 0.7])
    after = np.where(generator.random(len(before)) < 0.1, 1 - before, before)
    report = compare(labels, before, after, groups, metric=metric)
    for group in report.groups:
        member = np.array(groups) == group.name
        for figure, answers in ((group.baseline, before), (group.compressed, after)):
            assert figure.value == pytest.approx(reference(labels[member], answers[member], zero_division=0))  # type: ignore[operator]
            assert figure.low < figure.value < figure.high
    values = [group.compressed.value for group in report.groups]
    assert values == sorted(values), "the worst is the first"
    assert report.compressed_worst.value == pytest.approx(values[0])
    assert report.compressed_gap.value == pytest.approx(values[-1] - values[0])
    assert report.gap_increase.value == pytest.approx(report.compressed_gap.value - report.baseline_gap.value)


def test_errors_are_scikit_learns_and_the_largest_is_the_worst() -> None:
    generator = np.random.default_rng(2)
    truth = generator.normal(100, 20, 120)
    groups = ["a"] * 70 + ["b"] * 50
    before = truth + generator.normal(0, 5, 120)
    after = before + np.where(np.array(groups) == "b", 12.0, 0.0)
    for metric, reference in (("mae", mean_absolute_error), ("mse", mean_squared_error)):
        report = groups_of_numbers(
            before[:, None].astype(np.float32), after[:, None].astype(np.float32), truth.astype(np.float32),
            groups, "g", metric, 0.95, same=False,  # type: ignore[arg-type]
        )  # fmt: skip
        assert report.groups[0].name == "b"
        assert report.compressed_worst.value == pytest.approx(reference(truth[70:], after[70:]), rel=1e-4)
        apart = report.compressed_worst.value - reference(truth[:70], after[:70])
        assert report.compressed_gap.value == pytest.approx(apart, rel=1e-4)
        assert report.gap_increase.low > 0, "the gap grew"


@pytest.mark.parametrize("right", [[0.9, 0.9, 0.9], [0.95, 0.9, 0.7]])
def test_intervals_of_extremes_have_their_coverage(right: list[float]) -> None:
    """Also if all groups are equal, and the figures of the worst group and of the gap are biased outwards."""
    generator, runs = np.random.default_rng(3), 200
    held = np.zeros(2)
    for _ in range(runs):
        labels, answers, groups = draw(generator, [120, 80, 40], right)
        report = compare(labels, answers, answers, groups, same=True)
        worst, gap = report.compressed_worst, report.compressed_gap
        held += [worst.low <= min(right) <= worst.high, gap.low <= max(right) - min(right) <= gap.high]
    assert (held / runs >= 0.95).all(), held / runs


def test_the_interval_of_a_gap_increase_has_its_coverage(few_resamples: None) -> None:
    """The compressed model loses a tenth of its answers in the smallest group alone: the gap grows from 0.1 to 0.18."""
    generator, runs, held = np.random.default_rng(4), 150, 0
    for _ in range(runs):
        labels, before, groups = draw(generator, [200, 200, 200], [0.9, 0.9, 0.8])
        lost = (np.array(groups) == "c") & (before == labels) & (generator.random(len(before)) < 0.1)
        report = compare(labels, before, np.where(lost, 1 - before, before), groups)
        held += report.gap_increase.low <= 0.08 <= report.gap_increase.high
    assert held / runs >= 0.9


def test_small_groups_are_uncertain_and_identical_models_are_not() -> None:
    labels, answers, groups = draw(np.random.default_rng(5), [500, 500, 4], [1.0, 1.0, 1.0])
    report = compare(labels, answers, answers, groups, same=True)
    assert report.compressed_worst.value == 1.0
    assert report.compressed_worst.low < 0.5
    assert report.gap_increase.low == report.gap_increase.high == 0.0


def test_a_nan_answer_is_wrong() -> None:
    labels = np.array([0, 1] * 10)
    after = scores(labels)
    after[:5] = np.nan
    groups = ["a"] * 10 + ["b"] * 10
    report = groups_of_classes(scores(labels), after, labels, groups, "g", "accuracy", 0.95, same=False)
    assert {group.name: group.compressed.value for group in report.groups} == {"a": 0.5, "b": 1.0}
