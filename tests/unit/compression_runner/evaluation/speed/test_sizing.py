"""Latency runs are sized by the confidence and the time limit."""

import pytest

from compression_runner.evaluation.speed import sizing
from compression_runner.evaluation.speed.sizing import size_queue, size_run
from compression_runner.evaluation.statistics.order_statistics import queries_needed, rank_bounds

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


@pytest.mark.parametrize("confidence", [0.95, 0.995, 0.9995])
@pytest.mark.parametrize("pair_seconds", [1e-5, 0.001, 0.02, 0.1])
@pytest.mark.parametrize("quantile", QUANTILES.values())
def test_the_first_look_has_bounds_of_percentile_and_speed_up(
    confidence: float, pair_seconds: float, quantile: float
) -> None:
    size = size_run(pair_seconds, 3600.0, confidence, quantile)
    assert size.looks[0] * size.queries >= queries_needed(quantile, confidence, discard=0)
    assert None not in rank_bounds(size.looks[0], 0.5, confidence)
    assert len(size.looks) <= 10
    assert list(size.looks) == sorted(set(size.looks))


def test_the_last_look_uses_the_available_time() -> None:
    size = size_run(0.02, 420.0, 0.999, 0.5)
    whole = size.looks[-1] * (size.queries + size.warm_up) * 0.02
    assert 0.8 * 420.0 <= whole <= 420.0


def test_fast_models_are_measured_for_a_minimum_time() -> None:
    quick = size_run(1e-3, 600.0, 0.999, 0.5)
    assert quick.looks[0] * quick.queries * 1e-3 == pytest.approx(sizing.FIRST_SECONDS, rel=0.1)
    quickest = size_run(1e-6, 600.0, 0.999, 0.5)
    assert quickest.looks[-1] * quickest.queries <= sizing.MAX_QUERIES


@pytest.mark.parametrize("pair_seconds", [0.7, 2.0, 20.0])
def test_slow_models_fit_into_the_time_if_possible(pair_seconds: float) -> None:
    size = size_run(pair_seconds, 400.0, 0.95, 0.99)
    assert size.queries >= 1
    least = size.looks[0] * 2 * pair_seconds
    assert size.looks[0] * (size.queries + size.warm_up) * pair_seconds <= max(400.0, least)


def test_a_slow_model_warms_up_with_one_query() -> None:
    assert size_run(0.001, 600.0, 0.95, 0.5).warm_up == sizing.WARM_UP_QUERIES
    assert size_run(1.0, 600.0, 0.95, 0.5).warm_up == 1


def test_an_easy_case_with_minilm_is_decided_in_seconds() -> None:
    size = size_run(0.022, 420.0, 0.9995, 0.5)
    assert size.looks[0] * (size.queries + size.warm_up) * 0.022 <= 5.0


def test_a_single_look_is_at_the_end() -> None:
    assert len(size_run(0.02, 420.0, 0.999, 0.5, looks=1).looks) == 1
    assert len(size_queue(50.0, (0.01, 0.01), 420.0, 0.9, 0.999, looks=1).looks) == 1


def test_a_queue_settles_before_its_queries_count() -> None:
    busy, idle = (size_queue(rate, (0.01, 0.01), 420.0, 0.9, 0.999) for rate in (80.0, 20.0))
    assert busy.warm_up > idle.warm_up >= sizing.WARM_UP_QUERIES
    assert busy.looks[0] == idle.looks[0] == sizing.MIN_PAIRS
