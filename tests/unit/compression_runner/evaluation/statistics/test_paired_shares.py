"""Shares of right answers and their difference, against populations that are known."""

import numpy as np
import pytest

from compression_runner.evaluation.statistics.paired_shares import each_of, identical, shares, worst_loss, worst_score
from compressionjob.estimate import Estimate

RIGHT_BEFORE, BROKEN, MENDED = 0.9, 0.06, 0.01
DROP = BROKEN - MENDED


def _draw(generator: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Answers of which 5 % more are wrong afterwards."""
    chance = generator.random(count)
    before = chance < RIGHT_BEFORE
    after = np.where(chance < BROKEN, False, before | (chance >= 1 - MENDED))
    return before, after


def test_the_figures_are_the_shares() -> None:
    before, after = np.array([1, 1, 1, 0, 0], dtype=bool), np.array([1, 0, 0, 1, 0], dtype=bool)
    found = shares(before, after, 0.95)
    assert (found.baseline.value, found.compressed.value) == (0.6, 0.4)
    assert found.drop.value == pytest.approx(0.2)
    assert found.drop.low <= 0.2 <= found.drop.high


def test_intervals_hold_as_often_as_they_say(few_resamples: None) -> None:
    generator, runs = np.random.default_rng(0), 300
    held = np.zeros(3)
    for run in range(runs):
        found = shares(*_draw(generator, 200), 0.95, seed=run)
        truth = (RIGHT_BEFORE, RIGHT_BEFORE - DROP, DROP)
        estimates = (found.baseline, found.compressed, found.drop)
        held += [estimate.low <= value <= estimate.high for estimate, value in zip(estimates, truth, strict=True)]
    # At 0.95, fewer than 0.92 of 300 would come by chance once in a hundred times.
    assert (held / runs >= 0.92).all(), held / runs


def test_no_change_that_was_seen_is_not_no_change() -> None:
    same = np.ones(100, dtype=bool)
    drop = shares(same, same, 0.95).drop
    assert drop.value == 0.0
    assert 0.02 < drop.high < 0.06
    assert identical(shares(same, same, 0.95)).drop == Estimate.exact(0.0)


def test_the_worst_of_several_keeps_their_bounds() -> None:
    several = [Estimate(value=0.9, low=0.8, high=0.95), Estimate(value=0.7, low=0.4, high=0.99)]
    assert worst_score(several) == Estimate(value=0.7, low=0.4, high=0.95)
    assert worst_loss(several) == Estimate(value=0.9, low=0.8, high=0.99)
    assert each_of(5, 0.95) == pytest.approx(0.99)
