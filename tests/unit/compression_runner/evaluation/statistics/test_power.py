"""The predicted power against simulated runs: the median interval reaches as far as predicted."""

import numpy as np
import pytest

from compression_runner.evaluation.statistics.block_bootstrap import mean_interval, speedup_interval
from compression_runner.evaluation.statistics.intervals import share
from compression_runner.evaluation.statistics.order_statistics import percentile_interval
from compression_runner.evaluation.statistics.paired_shares import shares
from compression_runner.evaluation.statistics.power import (
    FOUR_TIMES,
    difference_reach,
    least_share,
    mean_reach,
    percentile_reach,
    samples_for_share,
    share_reach,
)

CONFIDENCE = 0.9875
RUNS = 60


@pytest.mark.parametrize(("samples", "disagreement"), [(200, 0.05), (1000, 0.05), (1000, 0.5)])
def test_shares(samples: int, disagreement: float) -> None:
    generator = np.random.default_rng(0)
    estimates = [share(generator.random(samples) < disagreement, CONFIDENCE) for _ in range(RUNS)]
    reach = float(np.median([one.high - one.value for one in estimates]))
    assert share_reach(samples, disagreement, CONFIDENCE) == pytest.approx(reach, rel=0.08)


@pytest.mark.parametrize(("samples", "disagreement"), [(500, 0.05), (2000, 0.05), (500, 1.0)])
def test_differences_of_shares(samples: int, disagreement: float) -> None:
    generator = np.random.default_rng(0)
    reaches = []
    for seed in range(12):
        drawn = generator.random(samples)
        broken, fixed = drawn < disagreement / 2, (drawn >= disagreement / 2) & (drawn < disagreement)
        drop = shares(~fixed, ~broken, CONFIDENCE, seed).drop
        reaches.append(drop.high - drop.value)
    assert difference_reach(samples, disagreement, CONFIDENCE) == pytest.approx(float(np.median(reaches)), rel=0.1)


@pytest.mark.parametrize("count", [4, 12, 180])
def test_means(count: int) -> None:
    generator = np.random.default_rng(0)
    estimates = [mean_interval(list(generator.normal(100.0, 10.0, count)), CONFIDENCE) for _ in range(400)]
    reach = float(np.sqrt(np.mean([(one.high - one.value) ** 2 for one in estimates]))) / 100.0
    assert mean_reach(count, 0.1, CONFIDENCE) == pytest.approx(reach, rel=0.12)


@pytest.mark.parametrize(("count", "quantile"), [(100, 0.5), (1000, 0.5), (1000, 0.9), (5000, 0.99)])
def test_percentiles(count: int, quantile: float) -> None:
    generator = np.random.default_rng(0)
    reaches = []
    for _ in range(RUNS):
        estimate = percentile_interval([generator.normal(0.01, 0.001, count)], quantile, CONFIDENCE)
        reaches.append((estimate.high - estimate.value) / estimate.value)
    expected = percentile_reach(count, quantile, 0.1, CONFIDENCE)
    assert expected == pytest.approx(float(np.median(reaches)), rel=0.15)


def test_too_few_queries_have_no_bound() -> None:
    assert percentile_reach(50, 0.99, 0.1, CONFIDENCE) is None
    assert percentile_interval([np.full(50, 0.01)], 0.99, CONFIDENCE).high == 86_400.0


def test_a_speed_up_is_a_median_of_pairs() -> None:
    generator = np.random.default_rng(0)
    reaches = []
    for _ in range(RUNS):
        ratios = generator.normal(1.0, 0.1, 60)
        before, after = ([np.full(4, value) for value in values] for values in (ratios, np.ones(60)))
        speedup = speedup_interval(before, after, 0.5, CONFIDENCE)
        reaches.append((speedup.high - speedup.value) / speedup.value)
    expected = percentile_reach(60, 0.5, 0.1, CONFIDENCE)
    assert expected == pytest.approx(float(np.median(reaches)), rel=0.25)


@pytest.mark.parametrize("limit", [0.001, 0.01, 0.05, 0.5])
def test_the_least_number_of_samples_is_minimal(limit: float) -> None:
    count = samples_for_share(limit, CONFIDENCE)
    assert 1.0 - share(np.ones(count, dtype=bool), CONFIDENCE).low <= limit
    assert count == 1 or 1.0 - share(np.ones(count - 1, dtype=bool), CONFIDENCE).low > limit
    assert least_share(count, CONFIDENCE) <= limit


def test_the_drop_of_a_perfect_model_has_an_interval() -> None:
    right = np.ones(100, dtype=bool)
    assert shares(right, right, CONFIDENCE).drop.high == pytest.approx(least_share(100, CONFIDENCE), rel=0.1)
    assert samples_for_share(1.0, CONFIDENCE) == 1


def test_four_times_as_many_samples_halve_the_difference() -> None:
    for count in (500, 2000):
        half = difference_reach(FOUR_TIMES * count, 0.05, CONFIDENCE) / difference_reach(count, 0.05, CONFIDENCE)
        assert half == pytest.approx(0.5, abs=0.03)
        first, more = (percentile_reach(size, 0.5, 0.1, CONFIDENCE) for size in (count, FOUR_TIMES * count))
        assert first is not None
        assert more == pytest.approx(first / 2, rel=0.05)
