"""What queries would have taken without others: bounds that hold whatever was taken from which query."""

import numpy as np
import pytest

from compression_runner.evaluation.speed.queries import Queries, Taken, as_they_are, as_they_queue, queue
from compression_runner.evaluation.statistics.block_bootstrap import LEAST


def test_where_all_that_was_taken_is_known_nothing_but_it_is_taken_off() -> None:
    quiet = np.array([1.0, 2.0, 3.0])
    taken = np.array([0.0, 5.0, 0.5])
    found = as_they_are(quiet + taken, quiet + taken, Taken(taken, taken))
    assert found.latency_bounds.least.tolist() == found.latency_bounds.most.tolist() == quiet.tolist()
    assert found.service_bounds.most.tolist() == quiet.tolist()
    assert found.latency.tolist() == (quiet + taken).tolist(), "what was measured is kept"


def test_no_more_is_taken_off_than_the_model_took() -> None:
    found = as_they_are(np.array([2.0]), np.array([1.5]), Taken(np.array([0.0]), np.array([9.0])))
    assert found.service_bounds.least.tolist() == [LEAST]
    assert found.latency_bounds.least.tolist() == [pytest.approx(0.5)]


def test_without_counters_the_bounds_are_the_times() -> None:
    found = as_they_are(np.array([2.0]), np.array([1.5]), None)
    assert found.counted is None
    assert found.latency_bounds.least is found.latency_bounds.most is found.latency


def test_a_queue_is_as_lindley_says() -> None:
    waits = queue(np.array([0.0, 1.0, 2.0, 10.0]), np.array([3.0, 1.0, 1.0, 1.0]))
    assert waits.tolist() == [3.0, 3.0, 3.0, 1.0]


@pytest.mark.parametrize("seed", range(20))
def test_what_was_taken_from_one_query_is_taken_from_those_behind_it(seed: int) -> None:
    """Some bounds on each delay: the queue without delays lies between the bounds of its latencies."""
    generator = np.random.default_rng(seed)
    arrival = np.cumsum(generator.exponential(1.0, 200))
    quiet = generator.exponential(0.6, 200)
    delay = generator.exponential(2.0, 200) * (generator.random(200) < 0.1)
    least, most = delay * generator.random(200), delay * (1.0 + generator.random(200))
    latency = queue(arrival, quiet + delay) + generator.random(200) * 0.01
    found = as_they_queue(arrival, latency, quiet + delay, Taken(least, most))
    truth = queue(arrival, quiet)
    assert (found.latency_bounds.least <= truth + 1e-9).all()
    assert (found.latency_bounds.most >= truth - 1e-9).all()
    assert (found.latency_bounds.most <= found.latency).all()


def test_what_the_cgroups_limit_held_back_stays_in_the_upper_bound() -> None:
    taken = np.array([1.0])
    found = as_they_are(np.array([3.0]), np.array([3.0]), Taken(taken, taken)).as_slow_as_they_were()
    assert (found.latency_bounds.least[0], found.latency_bounds.most[0]) == (2.0, 3.0)


def test_queries_that_let_a_queue_settle_are_left_out_everywhere() -> None:
    times = np.arange(5.0) + 1
    found = as_they_are(times, times, Taken(times / 2, times / 2)).after(2)
    assert len(found) == len(found.service_bounds.least) == len(found.latency_bounds.most) == 3
    assert found.latency_bounds.most.tolist() == [1.5, 2.0, 2.5]
    assert isinstance(found, Queries)
