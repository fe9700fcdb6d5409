"""Percentile bounds have their coverage, for known distributions."""

import math

import numpy as np
import pytest
from scipy import stats

from compression_runner.evaluation.statistics.alpha_spending import each_look, look_sizes
from compression_runner.evaluation.statistics.order_statistics import (
    LOADGEN_CONFIDENCE,
    design_effect,
    effective_count,
    percentile,
    percentile_interval,
    queries_needed,
    rank_bounds,
)
from compressionjob.estimate import UNBOUNDED_SECONDS


def test_the_number_of_queries_equals_loadgens_early_stopping() -> None:
    assert queries_needed(0.99, LOADGEN_CONFIDENCE) == 662
    assert queries_needed(0.90, LOADGEN_CONFIDENCE) == 64


@pytest.mark.parametrize("discard", [0, 1, 3])
def test_the_number_of_queries_is_the_least_that_bounds(discard: int) -> None:
    count = queries_needed(0.99, 0.95, discard)
    assert stats.binom(count, 0.01).cdf(discard) <= 0.025 < stats.binom(count - 1, 0.01).cdf(discard)
    assert rank_bounds(count, 0.99, 0.95)[1] == count - discard


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("count", [70, 700, 3000])
def test_ranks_are_the_tightest_that_keep_the_confidence(quantile: float, count: int) -> None:
    lower, upper = rank_bounds(count, quantile, 0.95)
    below = stats.binom(count, quantile)
    if lower is not None:
        assert below.cdf(lower - 1) <= 0.025 < below.cdf(lower)
    if upper is not None:
        assert below.sf(upper - 1) <= 0.025 < below.sf(upper - 2)
    else:
        assert below.sf(count - 1) > 0.025, "None only where even the largest query is no bound"


def test_too_few_queries_have_no_upper_bound() -> None:
    assert rank_bounds(300, 0.99, 0.95)[1] is None
    assert rank_bounds(368, 0.99, 0.95)[1] == 368
    few = [np.linspace(0.01, 0.02, 10) for _ in range(10)]
    assert percentile_interval(few, 0.99, 0.95).high == UNBOUNDED_SECONDS


@pytest.mark.parametrize(("quantile", "count"), [(0.5, 2), (0.5, 5), (0.9, 1)])
def test_too_few_queries_have_no_lower_bound(quantile: float, count: int) -> None:
    """Both of two queries are above the median with probability 1/4: the smaller one is no lower bound."""
    assert rank_bounds(count, quantile, 0.98)[0] is None
    estimate = percentile_interval([np.linspace(0.01, 0.02, count)], quantile, 0.98)
    assert (estimate.low, estimate.high) == (0.0, UNBOUNDED_SECONDS)


def test_percentile_is_an_order_statistic() -> None:
    values = np.arange(1.0, 101.0)
    assert percentile(values, 0.99) == 99.0
    assert percentile(values, 0.5) == 50.0
    assert percentile(np.array([3.0]), 0.99) == 3.0


@pytest.mark.parametrize(("quantile", "count"), [(0.5, 200), (0.9, 200), (0.99, 800)])
def test_intervals_cover_the_true_percentile(quantile: float, count: int) -> None:
    generator = np.random.default_rng(7)
    truth = math.exp(stats.norm.ppf(quantile))
    runs, held = 1500, 0
    for _ in range(runs):
        blocks = [np.exp(generator.normal(size=count // 20)) for _ in range(20)]
        estimate = percentile_interval(blocks, quantile, 0.95)
        held += estimate.low <= truth <= estimate.high
    assert held / runs >= 0.94


def test_bursts_of_noise_widen_the_interval() -> None:
    generator = np.random.default_rng(3)
    quiet = [generator.normal(10.0, 0.1, 50) for _ in range(40)]
    noisy = [block * (5.0 if index % 20 == 0 else 1.0) for index, block in enumerate(quiet)]
    shuffled = list(generator.permutation(np.concatenate(noisy)).reshape(40, 50))
    assert effective_count(shuffled, 0.90, 0.95) > 5 * effective_count(noisy, 0.90, 0.95)
    assert percentile_interval(noisy, 0.90, 0.95).high > percentile_interval(shuffled, 0.90, 0.95).high


def test_coverage_survives_bursts() -> None:
    """A tenth of the blocks is slow throughout: the queries are far from independent, the interval still holds p90."""
    generator = np.random.default_rng(5)
    runs, held, naive = 400, 0, 0
    truth = float(np.quantile(_bursts(generator, 4000).ravel(), 0.85))
    for _ in range(runs):
        blocks = list(_bursts(generator, 40))
        estimate = percentile_interval(blocks, 0.85, 0.95)
        held += estimate.low <= truth <= estimate.high
        pooled = np.sort(np.concatenate(blocks))
        low, high = rank_bounds(len(pooled), 0.85, 0.95)
        assert low is not None
        assert high is not None
        naive += pooled[low - 1] <= truth <= pooled[high - 1]
    assert naive / runs < 0.80, "the case must be one that independent queries would get wrong"
    assert held / runs >= 0.90


@pytest.mark.parametrize(("quantile", "queries"), [(0.5, 5), (0.9, 20)])
@pytest.mark.parametrize("alike", [0.1, 0.2])
def test_looks_at_differing_blocks_keep_the_error_rate(quantile: float, queries: int, alike: float) -> None:
    """The limit lies on the truth, so that any decision is wrong; `alike` is the variance between blocks."""
    generator, sizes, runs = np.random.default_rng(1), look_sizes(9, 300), 400
    truth, wrong = float(stats.norm.ppf(quantile)), 0
    for _ in range(runs):
        level = math.sqrt(alike) * generator.normal(size=(sizes[-1], 1))
        blocks = list(level + math.sqrt(1.0 - alike) * generator.normal(size=(sizes[-1], queries)))
        looks = (percentile_interval(blocks[:size], quantile, each_look(0.95)) for size in sizes)
        wrong += any(not look.low <= truth <= look.high for look in looks)
    assert wrong <= stats.binom.ppf(0.975, runs, 0.05), "5 %, and as many as chance may add"


def _bursts(generator: np.random.Generator, blocks: int) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    level = generator.normal(0.0, 0.5, size=(blocks, 1))
    return np.asarray(np.exp(level + generator.normal(0.0, 0.2, size=(blocks, 30))))


def test_independent_queries_count_in_full() -> None:
    generator = np.random.default_rng(1)
    effects = [design_effect([generator.random(40) for _ in range(20)], 0.9) for _ in range(400)]
    assert np.mean(np.array(effects) == 1.0) > 0.77


def test_a_single_block_shows_no_dispersion() -> None:
    assert design_effect([np.arange(10.0)], 5.0) == 1.0
