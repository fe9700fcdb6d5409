"""Latency runs are sized from the confidence and from the time that there is."""

import pytest

from compression_runner.evaluation.speed import sizing
from compression_runner.evaluation.speed.sizing import Sizing, size_run
from compression_runner.evaluation.statistics.order_statistics import queries_needed


@pytest.mark.parametrize("confidence", [0.90, 0.95, 0.99, 0.995])
@pytest.mark.parametrize("pair_seconds", [1e-5, 0.001, 0.02, 0.1])
def test_enough_queries_for_p99_where_the_time_does(confidence: float, pair_seconds: float) -> None:
    found = size_run(pair_seconds, 3600.0, confidence)
    assert found.pairs * found.queries >= max(662, queries_needed(0.99, confidence))
    assert found.pairs == sizing.PAIRS


def test_quick_models_are_asked_more_within_bounds() -> None:
    quick, quickest = size_run(0.005, 600.0, 0.95), size_run(1e-6, 600.0, 0.95)
    assert quick.pairs * quick.queries >= 3000
    assert quickest.pairs * quickest.queries < sizing.MAX_QUERIES + sizing.PAIRS


@pytest.mark.parametrize("pair_seconds", [0.7, 2.0, 20.0])
def test_slow_models_fit_into_the_time_as_far_as_they_can(pair_seconds: float) -> None:
    found = size_run(pair_seconds, 400.0, 0.95)
    assert found.pairs == sizing.MIN_PAIRS
    assert found.queries >= 1
    least = sizing.MIN_PAIRS * 2 * pair_seconds
    assert found.pairs * (found.queries + found.warm_up) * pair_seconds <= max(400.0, least)


def test_a_slow_model_warms_up_with_one_query() -> None:
    assert size_run(0.001, 600.0, 0.95).warm_up == sizing.WARM_UP_QUERIES
    assert size_run(1.0, 600.0, 0.95).warm_up == 1


def test_minilm_on_two_cores() -> None:
    assert size_run(0.022, 420.0, 0.9875) == Sizing(pairs=30, queries=24, warm_up=5)
