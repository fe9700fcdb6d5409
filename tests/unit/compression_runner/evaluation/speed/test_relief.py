"""The percentile that is left when all time that others took is given back where it helps the most."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compression_runner.evaluation.speed.relief import relieved_percentile
from compression_runner.evaluation.statistics.order_statistics import percentile


def test_without_a_loss_it_is_the_percentile() -> None:
    values = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    assert relieved_percentile(values, 0.5, 0.0) == percentile(values, 0.5) == 3.0


def test_the_loss_lowers_the_fewest_queries_that_must_be_lower() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    assert relieved_percentile(values, 0.5, 0.5) == 2.5, "the median alone is lowered"
    assert relieved_percentile(values, 0.5, 1.5) == 1.75, "2 and 3 are lowered to one level"
    assert relieved_percentile(values, 0.5, 100.0) == 0.0


def test_a_tail_goes_with_little_time_and_a_median_does_not() -> None:
    values = np.concatenate([np.full(980, 0.010), np.full(20, 0.040)])
    lost = 0.02 * values.sum()
    assert relieved_percentile(values, 0.99, lost) < 0.025
    assert relieved_percentile(values, 0.50, lost) > 0.0095


@given(
    st.lists(st.floats(1.0, 100.0), min_size=1, max_size=60),
    st.lists(st.floats(0.0, 10.0), min_size=60, max_size=60),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_no_way_to_add_delays_beats_the_bound(quiet: list[float], delays: list[float], quantile: float) -> None:
    added = np.array(delays[: len(quiet)])
    noisy = np.array(quiet) + added
    bound = relieved_percentile(noisy, quantile, float(added.sum()))
    assert bound <= percentile(np.array(quiet), quantile) + 1e-6
