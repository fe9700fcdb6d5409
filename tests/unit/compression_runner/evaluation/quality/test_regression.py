"""Errors and correlation against scikit-learn and torchmetrics, and their intervals against known populations."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import mean_absolute_error, mean_squared_error
from torchmetrics.functional.regression import mean_absolute_error as torch_mae
from torchmetrics.functional.regression import pearson_corrcoef

from compression_runner.errors import InvalidInput
from compression_runner.evaluation.quality.comparison import unchanged
from compression_runner.evaluation.quality.regression import correlation, regression_quality
from compression_runner.evaluation.statistics import paired_bootstrap

Floats = NDArray[np.float32]


def _predictions(count: int = 300, noise: float = 0.5) -> tuple[Floats, Floats, Floats]:
    random = np.random.default_rng(3)
    targets = random.normal(5.0, 2.0, count).astype(np.float32)
    baseline = (targets + random.normal(0, 1.0, count)).astype(np.float32)
    compressed = (baseline + random.normal(0, noise, count)).astype(np.float32)
    return targets, baseline[:, np.newaxis], compressed[:, np.newaxis]


def test_errors_are_scikit_learns_and_torchmetrics() -> None:
    targets, baseline, compressed = _predictions()
    scores = regression_quality(baseline, compressed, targets, 0.95).scores
    for metric, function in (("mae", mean_absolute_error), ("mse", mean_squared_error)):
        before, after = function(targets, baseline[:, 0]), function(targets, compressed[:, 0])
        assert scores[metric].baseline.value == pytest.approx(before)
        assert scores[metric].compressed.value == pytest.approx(after)
        assert scores[metric].drop.value == pytest.approx(after / before - 1)
    assert scores["mae"].compressed.value == pytest.approx(
        float(torch_mae(torch.from_numpy(compressed[:, 0]), torch.from_numpy(targets))), rel=1e-5
    )
    expected = float(pearson_corrcoef(torch.from_numpy(compressed[:, 0]), torch.from_numpy(baseline[:, 0])))
    assert scores["correlation"].compressed.value == pytest.approx(expected, rel=1e-5)
    assert scores["correlation"].baseline.value == 1.0


def test_every_value_lies_in_its_interval() -> None:
    targets, baseline, compressed = _predictions()
    for score in regression_quality(baseline, compressed, targets, 0.95).scores.values():
        for estimate in (score.baseline, score.compressed, score.drop):
            assert estimate.low <= estimate.value <= estimate.high
    increase = regression_quality(baseline, compressed, targets, 0.95).scores["mae"].drop
    assert increase.low < increase.high


def test_the_interval_is_paired(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides err on the same samples: the difference is more certain than each error."""
    monkeypatch.setattr(paired_bootstrap, "RESAMPLES", 600)
    targets, baseline, _ = _predictions()
    compressed = targets[:, np.newaxis] + (baseline - targets[:, np.newaxis]) * np.float32(1.1)
    scores = regression_quality(baseline, compressed, targets, 0.95).scores
    assert scores["mae"].drop.low == pytest.approx(0.1, abs=1e-3)
    assert scores["mae"].drop.high == pytest.approx(0.1, abs=1e-3)
    assert scores["mae"].compressed.high - scores["mae"].compressed.low > 0.1


def test_the_interval_covers_the_true_increase(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that are half normal, of scale 1 before and 1.2 after: 20 % more, whatever the sample says."""
    monkeypatch.setattr(paired_bootstrap, "RESAMPLES", 600)
    random = np.random.default_rng(5)
    targets, held, runs = np.zeros(200, dtype=np.float32), 0, 200
    for _ in range(runs):
        baseline = random.normal(0, 1.0, (200, 1)).astype(np.float32)
        compressed = random.normal(0, 1.2, (200, 1)).astype(np.float32)
        increase = regression_quality(baseline, compressed, targets, 0.95).scores["mae"].drop
        held += increase.low <= 0.2 <= increase.high
    assert held / runs >= 0.93


def test_correlation_by_hand() -> None:
    line, weights = np.array([1.0, 2.0, 3.0]), np.ones((1, 3))
    assert correlation(line, -2 * line, weights) == pytest.approx([-1.0])
    assert correlation(np.ones(3), np.ones(3), weights) == pytest.approx([1.0]), "neither varies"
    assert correlation(np.ones(3), line, weights) == pytest.approx([0.0]), "one alone varies"
    weighted = correlation(np.array([0.0, 1.0, 5.0]), np.array([0.0, 1.0, -9.0]), np.array([[1.0, 1.0, 0.0]]))
    assert weighted == pytest.approx([1.0]), "a sample without weight does not count"


def test_without_targets_only_correlation_is_measured() -> None:
    _, baseline, compressed = _predictions()
    assert set(regression_quality(baseline, compressed, None, 0.95).scores) == {"correlation"}


def test_a_prediction_that_is_not_finite_is_the_worst() -> None:
    targets, baseline, compressed = _predictions(40)
    compressed[3] = np.nan
    quality = regression_quality(baseline, compressed, targets, 0.95)
    assert quality.non_finite_samples == 1
    assert quality.scores["mae"].drop.value > 1e30
    assert np.isfinite(quality.scores["mse"].compressed.high)
    assert quality.scores["correlation"].drop.value > 0.5


def test_an_error_of_0_has_no_relative_increase() -> None:
    targets = np.arange(5, dtype=np.float32)
    same, off = targets[:, np.newaxis], targets[:, np.newaxis] + 1
    assert regression_quality(same, same, targets, 0.95).scores["mae"].drop.value == 0.0
    assert regression_quality(same, off, targets, 0.95).scores["mae"].drop.value > 1e30


def test_an_identical_model_loses_nothing() -> None:
    targets, baseline, _ = _predictions()
    quality = unchanged(regression_quality(baseline, baseline, targets, 0.95))
    assert {(s.drop.low, s.drop.value, s.drop.high) for s in quality.scores.values()} == {(0.0, 0.0, 0.0)}


def test_several_numbers_for_a_sample_are_refused() -> None:
    two = np.zeros((3, 2), dtype=np.float32)
    with pytest.raises(InvalidInput, match="predicts 2 numbers for each sample"):
        regression_quality(two, two, None, 0.95)
