"""The times of queries without other processes: bounds that hold for any distribution of the taken time."""

import numpy as np
import pytest

from compression_runner.evaluation.speed.queries import Queries, Taken, as_they_are, as_they_queue, queue
from compression_runner.evaluation.statistics.block_bootstrap import LEAST


def test_exactly_known_taken_time_is_subtracted() -> None:
    quiet = np.array([1.0, 2.0, 3.0])
    taken = np.array([0.0, 5.0, 0.5])
    queries = as_they_are(quiet + taken, quiet + taken, Taken(taken, taken))
    assert queries.latency_bounds.least.tolist() == queries.latency_bounds.most.tolist() == quiet.tolist()
    assert queries.service_bounds.most.tolist() == quiet.tolist()
    assert queries.latency.tolist() == (quiet + taken).tolist(), "what was measured is kept"


def test_at_most_the_service_time_is_subtracted() -> None:
    queries = as_they_are(np.array([2.0]), np.array([1.5]), Taken(np.array([0.0]), np.array([9.0])))
    assert queries.service_bounds.least.tolist() == [LEAST]
    assert queries.latency_bounds.least.tolist() == [pytest.approx(0.5)]


def test_without_counters_the_bounds_are_the_times() -> None:
    queries = as_they_are(np.array([2.0]), np.array([1.5]), None)
    assert queries.counted is None
    assert queries.latency_bounds.least is queries.latency_bounds.most is queries.latency


def test_a_queue_follows_lindleys_recursion() -> None:
    waits = queue(np.array([0.0, 1.0, 2.0, 10.0]), np.array([3.0, 1.0, 1.0, 1.0]))
    assert waits.tolist() == [3.0, 3.0, 3.0, 1.0]


@pytest.mark.parametrize("seed", range(20))
def test_time_taken_from_a_query_is_subtracted_from_those_behind_it(seed: int) -> None:
    """Some bounds on each delay: the queue without delays lies between the bounds of its latencies."""
    generator = np.random.default_rng(seed)
    arrival = np.cumsum(generator.exponential(1.0, 200))
    quiet = generator.exponential(0.6, 200)
    delay = generator.exponential(2.0, 200) * (generator.random(200) < 0.1)
    least, most = delay * generator.random(200), delay * (1.0 + generator.random(200))
    latency = queue(arrival, quiet + delay) + generator.random(200) * 0.01
    queries = as_they_queue(arrival, latency, quiet + delay, Taken(least, most))
    truth = queue(arrival, quiet)
    assert (queries.latency_bounds.least <= truth + 1e-9).all()
    assert (queries.latency_bounds.most >= truth - 1e-9).all()
    assert (queries.latency_bounds.most <= queries.latency).all()


def test_throttled_time_stays_in_the_upper_bound() -> None:
    taken = np.array([1.0])
    queries = as_they_are(np.array([3.0]), np.array([3.0]), Taken(taken, taken)).as_slow_as_they_were()
    assert (queries.latency_bounds.least[0], queries.latency_bounds.most[0]) == (2.0, 3.0)


def test_settling_queries_are_left_out() -> None:
    times = np.arange(5.0) + 1
    queries = as_they_are(times, times, Taken(times / 2, times / 2)).after(2)
    assert len(queries) == len(queries.service_bounds.least) == len(queries.latency_bounds.most) == 3
    assert queries.latency_bounds.most.tolist() == [1.5, 2.0, 2.5]
    assert isinstance(queries, Queries)
