"""The ratio of two shares on the same questions, against populations that are known."""

import numpy as np
import pytest

from compression_runner.evaluation.statistics.paired_ratio import ratio_of_shares


def test_the_value_is_the_ratio_of_the_shares() -> None:
    before, after = np.array([1, 1, 1, 1, 0], dtype=bool), np.array([1, 1, 0, 0, 1], dtype=bool)
    ratio = ratio_of_shares(before, after, 0.95)
    assert ratio.value == pytest.approx(0.75)
    assert ratio.low < 0.75 < ratio.high


@pytest.mark.parametrize(("right", "broken", "fixed"), [(0.6, 0.06, 0.03), (0.3, 0.02, 0.0), (0.9, 0.3, 0.05)])
def test_intervals_have_their_coverage(right: float, broken: float, fixed: float, few_resamples: None) -> None:
    generator, runs, confidence = np.random.default_rng(0), 300, 0.95
    truth = (right - broken + fixed) / right
    above = below = 0
    for run in range(runs):
        chance = generator.random(200)
        before = chance < right
        after = (before & (chance >= broken)) | (chance >= 1 - fixed)
        ratio = ratio_of_shares(before, after, confidence, seed=run)
        below += truth < ratio.low
        above += truth > ratio.high
    # Each end is wrong in at most 2.5 % of the runs; 17 of 300 would come by chance less than once in a hundred times.
    assert below <= 16
    assert above <= 16


def test_equal_answers_leave_room_for_other_questions() -> None:
    same = np.arange(100) < 50
    ratio = ratio_of_shares(same, same, 0.95)
    assert ratio.low < ratio.value == 1.0 < ratio.high
    narrower = ratio_of_shares(np.tile(same, 10), np.tile(same, 10), 0.95)
    assert ratio.low < narrower.low
    assert narrower.high < ratio.high


def test_a_model_that_answers_nothing_right_keeps_nothing() -> None:
    before = np.arange(100) < 50
    ratio = ratio_of_shares(before, np.zeros(100, dtype=bool), 0.95)
    assert ratio.value == ratio.low == 0.0
    assert 0.0 < ratio.high < 0.2
