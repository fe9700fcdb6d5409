"""Shares of right answers and their difference, against populations that are known."""

import numpy as np
import pytest

from compression_runner.evaluation.statistics.paired_shares import each_of, identical, shares, worst_loss, worst_score
from compressionjob.estimate import Estimate

RIGHT_BEFORE, BROKEN, FIXED = 0.9, 0.06, 0.01
DROP = BROKEN - FIXED


def _draw(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw answers of two models; the second has 5 % more wrong ones."""
    chance = generator.random(count)
    before = chance < RIGHT_BEFORE
    after = np.where(chance < BROKEN, False, before | (chance >= 1 - FIXED))
    return before, after


def test_the_figures_are_the_shares() -> None:
    before, after = np.array([1, 1, 1, 0, 0], dtype=bool), np.array([1, 0, 0, 1, 0], dtype=bool)
    right = shares(before, after, 0.95)
    assert (right.baseline.value, right.compressed.value) == (0.6, 0.4)
    assert right.drop.value == pytest.approx(0.2)
    assert right.drop.low <= 0.2 <= right.drop.high


def test_intervals_have_their_coverage(few_resamples: None) -> None:
    generator, runs = np.random.default_rng(0), 300
    held = np.zeros(3)
    for run in range(runs):
        right = shares(*_draw(generator, 200), 0.95, seed=run)
        truth = (RIGHT_BEFORE, RIGHT_BEFORE - DROP, DROP)
        estimates = (right.baseline, right.compressed, right.drop)
        held += [estimate.low <= value <= estimate.high for estimate, value in zip(estimates, truth, strict=True)]
    # At 0.95, fewer than 0.92 of 300 would come by chance once in a hundred times.
    assert (held / runs >= 0.92).all(), held / runs


def test_no_change_in_the_samples_has_an_interval() -> None:
    same = np.ones(100, dtype=bool)
    drop = shares(same, same, 0.95).drop
    assert drop.value == 0.0
    assert 0.02 < drop.high < 0.06
    assert identical(shares(same, same, 0.95)).drop == Estimate.exact(0.0)


def test_the_worst_of_several_keeps_the_bounds() -> None:
    several = [Estimate(value=0.9, low=0.8, high=0.95), Estimate(value=0.7, low=0.4, high=0.99)]
    assert worst_score(several) == Estimate(value=0.7, low=0.4, high=0.95)
    assert worst_loss(several) == Estimate(value=0.9, low=0.8, high=0.99)
    assert each_of(5, 0.95) == pytest.approx(0.99)
