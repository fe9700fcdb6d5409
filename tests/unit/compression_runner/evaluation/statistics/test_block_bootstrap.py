"""Ratios of percentiles and means of blocks, against known distributions."""

import numpy as np
import pytest
from scipy import stats

from compression_runner.evaluation.statistics import block_bootstrap
from compression_runner.evaluation.statistics.block_bootstrap import expanded_tail, mean_interval, speedup_interval
from compression_runner.evaluation.statistics.order_statistics import percentile_interval
from compression_runner.evaluation.statistics.resamples import MOST, resamples_for
from compressionjob.estimate import UNBOUNDED_RATIO


def test_speedup_of_a_constant_factor_is_that_factor() -> None:
    baseline = [np.random.default_rng(seed).exponential(size=40) for seed in range(8)]
    speedup = speedup_interval(baseline, [block / 2 for block in baseline], 0.99, 0.95)
    assert (speedup.low, speedup.value, speedup.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize(("quantile", "least"), [(0.5, 0.93), (0.9, 0.93), (0.99, 0.93)])
def test_interval_covers_the_true_speedup(quantile: float, least: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks share the machine's state: both models of a pair are slowed equally, and each a little more."""
    monkeypatch.setattr(block_bootstrap, "RESAMPLES", 400)
    generator = np.random.default_rng(11)
    runs, held = 400, 0
    for _ in range(runs):
        shared = generator.normal(0.0, 0.1, size=(20, 1))
        own = generator.normal(0.0, 0.03, size=(2, 20, 1))
        noise = generator.normal(0.0, 0.2, size=(2, 20, 20))
        baseline, compressed = 1.8 * np.exp(shared + own[0] + noise[0]), np.exp(shared + own[1] + noise[1])
        speedup = speedup_interval(list(baseline), list(compressed), quantile, 0.95)
        held += speedup.low <= 1.8 <= speedup.high
    assert held / runs >= least


def test_noise_in_both_blocks_of_a_pair_cancels() -> None:
    """On a machine that is nine times slower half of the time, the speed-up at p50 is still exact."""
    generator = np.random.default_rng(6)
    slowed = np.where(generator.random((30, 1)) < 0.5, 9.0, 1.0)
    baseline = 1.8 * slowed * np.exp(generator.normal(0.0, 0.02, (30, 25)))
    compressed = slowed * np.exp(generator.normal(0.0, 0.02, (30, 25)))
    speedup = speedup_interval(list(baseline), list(compressed), 0.5, 0.99)
    assert 1.75 < speedup.low <= 1.8 <= speedup.high < 1.85


def test_a_percentile_beyond_a_block_is_pooled() -> None:
    generator = np.random.default_rng(8)
    baseline = list(np.exp(generator.normal(0.7, 0.2, (20, 40))))
    compressed = list(np.exp(generator.normal(0.0, 0.2, (20, 40))))
    speedup = speedup_interval(baseline, compressed, 0.99, 0.95)
    expected = np.sort(np.concatenate(baseline))[791] / np.sort(np.concatenate(compressed))[791]
    assert speedup.value == pytest.approx(expected)
    assert speedup.low < speedup.value < speedup.high


@pytest.mark.parametrize("confidence", [0.999, 0.9998])
def test_few_pairs_at_high_confidence_use_the_percentile_intervals(confidence: float) -> None:
    """Resamples of equal pairs are equal; pairs that were not drawn may still differ."""
    generator = np.random.default_rng(3)
    baseline = list(np.exp(generator.normal(0.7, 0.2, (11, 70))))
    compressed = list(np.exp(generator.normal(0.0, 0.2, (11, 70))))
    speedup = speedup_interval(baseline, compressed, 0.99, confidence)
    each = 1 - (1 - confidence) / 2
    before, after = (percentile_interval(blocks, 0.99, each) for blocks in (baseline, compressed))
    assert (speedup.low, speedup.high) == (before.low / after.high, before.high / after.low)
    assert speedup.low < speedup.value < speedup.high


def test_resamples_are_enough_for_the_tail() -> None:
    assert resamples_for(0.025, 4000) == 4000
    assert resamples_for(0.0005, 4000) == 20_000, "ten of them lie beyond each end"
    assert resamples_for(0.0, 4000) > MOST


def test_same_seed_same_interval() -> None:
    baseline = [np.random.default_rng(seed).exponential(size=40) for seed in range(8)]
    compressed = [np.random.default_rng(100 + seed).exponential(size=40) for seed in range(8)]
    assert speedup_interval(baseline, compressed, 0.99, 0.95) == speedup_interval(baseline, compressed, 0.99, 0.95)


def test_two_pairs_of_one_query_bound_no_speed_up() -> None:
    """A time limit may leave two pairs of a slow model: both ratios are on one side of the truth half of the time."""
    speedup = speedup_interval([np.array([3.0]), np.array([3.1])], [np.array([1.0]), np.array([1.1])], 0.5, 0.995)
    assert speedup.low < 1e-3
    assert speedup.high == UNBOUNDED_RATIO


def test_one_pair_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least two pairs"):
        speedup_interval([np.ones(3)], [np.ones(3)], 0.5, 0.95)


def test_few_units_get_a_wider_tail_than_many() -> None:
    assert expanded_tail(0.95, 5) < expanded_tail(0.95, 20) < expanded_tail(0.95, 10_000)
    assert expanded_tail(0.95, 10_000) == pytest.approx(0.025, abs=1e-4)


def test_mean_interval_is_students() -> None:
    values = [9.0, 11.0, 10.0, 12.0, 8.0]
    estimate = mean_interval(values, 0.95)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (estimate.low, estimate.value, estimate.high) == pytest.approx((low, 10.0, high))


def test_one_value_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least two"):
        mean_interval([1.0], 0.95)
