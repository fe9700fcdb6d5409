"""Interleaved blocks of two models, sized from the confidence, with the real LoadGen."""

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from compression_runner.evaluation.machine.noise import noise_between
from compression_runner.evaluation.speed import latency, loadgen, sizing
from compression_runner.evaluation.speed.latency import LatencyPlan
from compression_runner.evaluation.speed.latency_run import QUANTILES, Block, LatencyRun
from compression_runner.evaluation.speed.queries import Queries
from compression_runner.evaluation.speed.scenario import Scenario, SystemUnderTest
from compression_runner.evaluation.statistics.block_bootstrap import at_most_ratio
from compression_runner.evaluation.statistics.order_statistics import queries_needed
from compression_runner.report.wording import span
from compressionjob.estimate import UNBOUNDED_RATIO, unbounded
from compressionjob.objectives import Sla
from compressionjob.sla_objectives import LATENCY, SPEEDUP
from compressionjob.verdict import judge
from tests.support.machine import Machine, Uncounted


def _system_under_test(log: list[str], name: str, seconds: float = 0.0) -> SystemUnderTest:
    def answer(_query: int) -> None:
        log.append(name)
        time.sleep(seconds)

    return SystemUnderTest(answer=answer, answer_batch=lambda indices: answer(0), queries=4, samples=4)


def _clock(step: float) -> Callable[[], float]:
    """Return a clock that moves by `step` seconds at each look."""
    times: Iterator[float] = iter(np.arange(0.0, 1e9, step))
    return lambda: float(next(times))


def measure_latency(
    baseline: SystemUnderTest, compressed: SystemUnderTest, plan: LatencyPlan, **more: Any
) -> LatencyRun:
    """Measure as on a quiet machine, independently of other processes on this one."""
    return latency.measure_latency(baseline, compressed, plan, **{"look": Machine(), **more})


@pytest.fixture(autouse=True)
def _few_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(loadgen, "ThreadWaits", Uncounted)


def _queries_of(run: LatencyRun) -> int:
    return sum(len(block) for block in run.latencies(1))


@pytest.mark.parametrize("name", ["p50", "p90", "p99"])
def test_each_model_gets_the_queries_that_the_percentile_needs(name: str) -> None:
    run = measure_latency(_system_under_test([], "b"), _system_under_test([], "c"), LatencyPlan(0.99, name, 600.0))
    assert _queries_of(run) == sum(len(block) for block in run.latencies(0)) >= queries_needed(QUANTILES[name], 0.99, 0)


def test_the_run_ends_at_the_first_decisive_look() -> None:
    looks: list[int] = []

    def decided(run: LatencyRun) -> bool:
        looks.append(len(run.pairs))
        return len(looks) == 3

    plan = LatencyPlan(0.99, "p50", 600.0)
    run = measure_latency(_system_under_test([], "b"), _system_under_test([], "c"), plan, decided=decided)
    assert len(run.pairs) == looks[-1]
    assert looks == sorted(set(looks))
    assert not any("ended the benchmark" in note for note in run.notes), "nothing is open"


def test_there_are_at_most_the_planned_looks() -> None:
    looks: list[int] = []
    plan = LatencyPlan(0.95, "p50", 1.0, looks=5)
    side = _system_under_test([], "b", 0.0005)
    run = measure_latency(side, side, plan, decided=lambda run: bool(looks.append(len(run.pairs))))
    assert 1 <= len(looks) <= 5
    assert any("time limit ended the benchmark" in note for note in run.notes)


def test_blocks_alternate_and_warm_ups_do_not_count() -> None:
    log: list[str] = []
    run = measure_latency(_system_under_test(log, "b"), _system_under_test(log, "c"), LatencyPlan(0.98, None, 600.0))
    counted = _queries_of(run)
    warm = latency.FIRST_WARM_UP_QUERIES + sizing.WARM_UP_QUERIES * len(run.pairs)
    assert log.count("b") == log.count("c") == counted + warm
    blocks = [log[0]] + [now for before, now in itertools.pairwise(log) if now != before]
    assert 2 + len(run.pairs) <= len(blocks) <= 2 + 2 * len(run.pairs)


@pytest.mark.parametrize("scenario", [Scenario(), Scenario("Server", rate=400.0)])
def test_the_seed_decides_samples_and_arrivals(scenario: Scenario) -> None:
    def sequence(seed: int) -> list[object]:
        log: list[object] = []
        plan = LatencyPlan(0.95, "p50", 10.0, scenario, seed=seed)
        run = measure_latency(_noting(log, "b"), _noting(log, "c"), plan)
        assert len(run.pairs) >= 6
        return log

    assert sequence(3)[:38] == sequence(3)[:38] != sequence(4)[:38]


def _noting(log: list[object], name: str) -> SystemUnderTest:
    def answer(query: int) -> None:
        log.append((name, query))

    return SystemUnderTest(answer=answer, answer_batch=lambda indices: None, queries=64, samples=64)


def test_the_slower_model_is_measured_slower() -> None:
    run = measure_latency(
        _system_under_test([], "b", 0.002), _system_under_test([], "c", 0.0002), LatencyPlan(0.95, None, 600.0)
    )
    assert min(block.min() for block in run.latencies(0)) >= 0.002
    speedup = run.speedup("p50", 0.95)
    assert speedup is not None
    assert speedup.value > 1.0


def test_a_slow_model_gets_fewer_queries_and_a_note() -> None:
    plan = LatencyPlan(0.95, "p99", 2.0)
    run = measure_latency(_system_under_test([], "b", 0.03), _system_under_test([], "c", 0.03), plan)
    assert sum(len(block) for block in run.latencies(1)) < 100
    assert any("has no upper bound" in note and "it needs 368" in note for note in run.notes)


def test_the_time_limit_ends_the_run() -> None:
    plan, clock = LatencyPlan(0.95, None, 60.0), _clock(10.0)
    run = measure_latency(
        _system_under_test([], "b"), _system_under_test([], "c"), plan, clock=clock, decided=lambda run: False
    )
    assert len(run.pairs) == 2
    assert any("time limit" in note for note in run.notes)


def test_a_run_with_the_maximum_of_queries_does_not_blame_the_time_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (latency, sizing):
        monkeypatch.setattr(module, "MAX_QUERIES", 300)
    plan = LatencyPlan(0.95, "p50", 600.0)
    run = measure_latency(_system_under_test([], "b"), _system_under_test([], "c"), plan, decided=lambda run: False)
    assert run.notes == [f"its largest number of queries ended the benchmark after {run.queries} queries a side"]


def test_progress_reaches_the_end() -> None:
    progress: list[float] = []
    measure_latency(
        _system_under_test([], "b"),
        _system_under_test([], "c"),
        LatencyPlan(0.95, None, 600.0),
        advance=progress.append,
    )
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def test_block_i_of_both_models_ran_next_to_each_other() -> None:
    speedup = LatencyRun([(_filled(2.0), _filled(1.0))] * 6).speedup("p90", 0.95)
    assert speedup is not None
    assert speedup.value == 2.0


def _filled(seconds: float) -> Block:
    return Block(Queries(np.full(10, seconds), np.full(10, seconds)))


def test_time_taken_by_others_moves_the_affected_bound() -> None:
    generator, machine = np.random.default_rng(4), Machine(lambda block: 0.004)
    alone, run = LatencyRun(), LatencyRun()
    for _ in range(20):
        before = machine()
        noise = noise_between(before, machine())
        blocks = [Queries(times, times) for times in 0.001 + 0.0001 * generator.standard_exponential((2, 10))]
        alone.pairs.append((Block(blocks[0]), Block(blocks[1])))
        run.pairs.append((Block(blocks[0], noise), Block(blocks[1], noise)))
    estimate, measured = run.percentile(1, "p50", 0.95), alone.percentile(1, "p50", 0.95)
    assert estimate.high == measured.high, "noise only adds"
    assert estimate.low < measured.low
    speedup, doubted = alone.speedup("p50", 0.95), run.speedup("p50", 0.95)
    assert speedup is not None
    assert doubted is not None
    assert doubted.low < speedup.low
    assert doubted.high > speedup.high


def test_notable_noise_is_the_reason() -> None:
    plan = LatencyPlan(0.95, "p50", 600.0)
    side = _system_under_test([], "b", 0.001)
    run = measure_latency(side, side, plan, look=Machine(lambda block: 0.4))
    estimate = run.percentile(1, "p50", 0.95)
    assert not any("other processes" in note for note in run.notes), "it is said once, for all that was measured"
    assert "other processes used 20% of the machine's CPU time, and took 40% of the time" in estimate.reason


def test_a_speedup_that_may_be_all_noise_is_unbounded() -> None:
    noisy = Machine(lambda block: 50.0)
    plan = LatencyPlan(0.95, "p50", 600.0)
    run = measure_latency(_system_under_test([], "b", 0.001), _system_under_test([], "c", 0.0001), plan, look=noisy)
    doubted = run.speedup("p50", 0.95)
    assert doubted is not None
    assert unbounded(doubted.high, "ratio")
    assert doubted.high == UNBOUNDED_RATIO, "UNBOUNDED_RATIO, not an unreadable number"
    limits = Sla.model_validate({"latency": {"percentile": "p50", "minSpeedup": "1000"}})
    assert " to unbounded), limit at least 1000 (" in judge(limits, {SPEEDUP: doubted}).sentence()
    assert span(doubted, "ratio").startswith("at least ")


def test_an_implausible_bound_is_exactly_unbounded() -> None:
    bounds = {at_most_ratio(above, 0.0) for above in np.random.default_rng(3).uniform(1e-6, 10, 1000)}
    assert bounds == {UNBOUNDED_RATIO}
    assert at_most_ratio(1.0, 1e-5) == UNBOUNDED_RATIO
    assert at_most_ratio(1.0, 0.5) == 2.0


def test_queries_of_many_samples_are_answered_in_one_batch() -> None:
    batches: list[int] = []
    side = SystemUnderTest(lambda query: None, lambda indices: batches.append(len(indices)), queries=4, samples=3)
    scenario = Scenario("MultiStream", samples=8)
    run = measure_latency(side, side, LatencyPlan(0.95, "p90", 600.0, scenario))
    assert set(batches) == {8}
    assert len(batches) == 2 * (sum(len(block) for block in run.latencies(1)) + run.settling * len(run.pairs) + 15)


def test_a_model_that_fixes_its_batch_is_given_its_own_batches() -> None:
    batches: list[int] = []
    side = SystemUnderTest(lambda query: None, lambda indices: batches.append(len(indices)), 4, 4, samples_each=4)
    Scenario("MultiStream", samples=8).run(side, 5, seed=1)
    assert batches == [1] * 10, "a prepared sample is four"


def test_queries_at_a_sustainable_rate_wait_a_little() -> None:
    scenario = Scenario("Server", rate=60.0)
    side = _system_under_test([], "c", 0.0001)
    run = measure_latency(side, side, LatencyPlan(0.95, "p50", 4.0, scenario))
    estimate = run.percentile(1, "p50", 0.95)
    assert 0.0001 <= estimate.low <= estimate.high < 86_400.0
    assert estimate.reason == ""
    assert all((block.queries.latency >= block.queries.service).all() for pair in run.pairs for block in pair)


def test_an_overloaded_model_has_no_latency() -> None:
    scenario = Scenario("Server", rate=1000.0)
    run = measure_latency(
        _system_under_test([], "b", 0.004), _system_under_test([], "c", 0.002), LatencyPlan(0.95, "p99", 3.0, scenario)
    )
    limits = Sla.model_validate({"latency": {"max": "1h", "scenario": "Server", "targetRate": "1000"}})
    judgement = judge(limits, {LATENCY: run.percentile(1, "p99", 0.95)})
    assert judgement.verdict == "Fail"
    assert "latency is unbounded, limit at most 1h0m (1000 queries arrive in a second, and it answers" in (
        judgement.sentence()
    )
    assert run.speedup("p99", 0.95) is None, "neither has a latency to compare"
    assert run.service_speedup(0.95).value > 1.0


def test_an_overload_that_may_be_noise_decides_nothing() -> None:
    scenario = Scenario("Server", rate=600.0)
    run = measure_latency(
        _system_under_test([], "b", 0.002),
        _system_under_test([], "c", 0.002),
        LatencyPlan(0.95, "p50", 3.0, scenario),
        look=Machine(lambda block: 0.9),
    )
    limits = Sla.model_validate({"latency": {"max": "10ms", "scenario": "Server", "targetRate": "600"}})
    judgement = judge(limits, {LATENCY: run.percentile(1, "p50", 0.95)})
    assert judgement.verdict == "Inconclusive"
    assert "took 90% of the time" in judgement.sentence()
