"""Interleaved blocks of two models, sized from the confidence, with the real LoadGen."""

import itertools
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from compression_runner.measurement import latency, sizing
from compression_runner.measurement.latency import (
    Contender,
    LatencyPlan,
    LatencyRun,
    measure_latency,
    measure_throughput,
)


def _contender(asked: list[str], name: str, seconds: float = 0.0) -> Contender:
    def answer(_query: int) -> None:
        asked.append(name)
        time.sleep(seconds)

    return Contender(answer=answer, answer_batch=lambda indices: answer(0), queries=4, samples=4)


def _clock(step: float) -> Callable[[], float]:
    """Return a clock that moves by `step` seconds at each look."""
    times: Iterator[float] = iter(np.arange(0.0, 1e9, step))
    return lambda: float(next(times))


@pytest.fixture(autouse=True)
def _few_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "AMPLE_SECONDS", 1.0)
    monkeypatch.setattr(sizing, "MAX_QUERIES", 800)


def test_each_model_is_asked_what_p99_needs() -> None:
    run = measure_latency(_contender([], "b"), _contender([], "c"), LatencyPlan(0.99, None, 600.0))
    asked = sum(len(block) for block in run.compressed)
    assert asked == sum(len(block) for block in run.baseline) >= 740
    assert len(run.compressed) == sizing.PAIRS


def test_blocks_alternate_and_warm_ups_do_not_count() -> None:
    asked: list[str] = []
    run = measure_latency(_contender(asked, "b"), _contender(asked, "c"), LatencyPlan(0.98, None, 600.0))
    counted = sum(len(block) for block in run.baseline)
    warm = latency.FIRST_WARM_UP_QUERIES + sizing.WARM_UP_QUERIES * len(run.baseline)
    assert asked.count("b") == asked.count("c") == counted + warm
    blocks = [asked[0]] + [now for before, now in itertools.pairwise(asked) if now != before]
    assert 2 + len(run.baseline) <= len(blocks) <= 2 + 2 * len(run.baseline)


def test_the_slower_model_is_measured_slower() -> None:
    run = measure_latency(_contender([], "b", 0.002), _contender([], "c", 0.0002), LatencyPlan(0.95, None, 600.0))
    assert min(block.min() for block in run.baseline) >= 0.002
    assert run.speedup("p50", 0.95).value > 1.0


def test_a_slow_model_is_asked_less_and_a_note_says_what_is_missing() -> None:
    plan = LatencyPlan(0.95, "p99", 2.0)
    run = measure_latency(_contender([], "b", 0.03), _contender([], "c", 0.03), plan)
    assert sum(len(block) for block in run.compressed) < 100
    assert any("has no upper bound" in note and "it needs 368" in note for note in run.notes)


def test_the_time_limit_ends_the_run() -> None:
    run = measure_latency(_contender([], "b"), _contender([], "c"), LatencyPlan(0.95, None, 60.0), clock=_clock(10.0))
    assert len(run.baseline) == 2
    assert any("time limit" in note for note in run.notes)


def test_noise_makes_the_run_longer_when_a_limit_depends_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "effective_count", lambda blocks, quantile: 10)
    run = measure_latency(_contender([], "b"), _contender([], "c"), LatencyPlan(0.95, "p99", 600.0))
    assert len(run.baseline) == sizing.PAIRS * latency.MOST_EXTENSION
    assert any("noisy machine" in note for note in run.notes)


def test_progress_reaches_the_end() -> None:
    told: list[float] = []
    measure_latency(_contender([], "b"), _contender([], "c"), LatencyPlan(0.95, None, 600.0), told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_throughput_counts_samples_of_fixed_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "THROUGHPUT_BLOCK_SECONDS", 0.02)

    def side(each: int) -> Contender:
        return Contender(
            answer=lambda query: None,
            answer_batch=lambda indices: time.sleep(0.001),
            queries=4,
            samples=4,
            samples_each=each,
        )

    single, eightfold = measure_throughput(side(1), side(8), 4, 0.95, 600.0)
    assert single.low <= single.value <= single.high
    assert single.value <= 4 / 0.001
    assert eightfold.value > single.value


def test_block_i_of_both_models_ran_next_to_each_other() -> None:
    run = LatencyRun(baseline=[np.full(10, 2.0)] * 6, compressed=[np.full(10, 1.0)] * 6)
    assert run.speedup("p90", 0.95).value == 2.0
