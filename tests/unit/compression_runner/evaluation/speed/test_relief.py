"""The lower bound of a percentile, when all time that others took is subtracted where it helps most."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compression_runner.evaluation.speed.relief import relieved_mean_percentile, relieved_percentile
from compression_runner.evaluation.statistics.order_statistics import percentile


def test_without_lost_time_the_bound_is_the_percentile() -> None:
    values = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    assert relieved_percentile(values, 0.5, 0.0) == percentile(values, 0.5) == 3.0


def test_lost_time_lowers_the_fewest_queries() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert relieved_percentile(values, 0.5, 0.5) == 2.5, "the median alone is lowered"
    assert relieved_percentile(values, 0.5, 1.5) == 1.75, "2 and 3 are lowered to one level"
    assert relieved_percentile(values, 0.5, 100.0) == 0.0


def test_little_lost_time_lowers_a_tail_but_not_a_median() -> None:
    values = np.concatenate([np.full(980, 0.010), np.full(20, 0.040)])
    lost = 0.02 * values.sum()
    assert relieved_percentile(values, 0.99, lost) < 0.025
    assert relieved_percentile(values, 0.50, lost) > 0.0095


@given(
    st.lists(st.floats(1.0, 100.0), min_size=1, max_size=60),
    st.lists(st.floats(0.0, 10.0), min_size=60, max_size=60),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_no_distribution_of_delays_is_below_the_bound(quiet: list[float], delays: list[float], quantile: float) -> None:
    added = np.array(delays[: len(quiet)])
    noisy = np.array(quiet) + added
    bound = relieved_percentile(noisy, quantile, float(added.sum()))
    assert bound <= percentile(np.array(quiet), quantile) + 1e-6


@given(
    st.lists(st.floats(1.0, 100.0), min_size=1, max_size=60),
    st.lists(st.floats(0.0, 10.0), min_size=60, max_size=60),
    st.lists(st.integers(1, 50), min_size=60, max_size=60),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_no_distribution_of_delays_of_means_is_below_the_bound(
    quiet: list[float], delays: list[float], parts: list[int], quantile: float
) -> None:
    added, counts = np.array(delays[: len(quiet)]), np.array(parts[: len(quiet)], dtype=np.float64)
    noisy = np.array(quiet) + added / counts
    bound = relieved_mean_percentile(noisy, counts, quantile, float(added.sum()))
    assert bound <= percentile(np.array(quiet), quantile) + 1e-6


def test_the_bound_of_means_of_one_part_is_that_of_values() -> None:
    values = np.random.default_rng(0).exponential(1.0, 100)
    for lost in (0.0, 1.0, 20.0, 500.0):
        bound = relieved_mean_percentile(values, np.ones(100), 0.9, lost)
        assert abs(bound - relieved_percentile(values, 0.9, lost)) < 1e-9
