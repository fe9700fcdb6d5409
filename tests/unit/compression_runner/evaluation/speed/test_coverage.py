"""Intervals have their coverage: the estimators get random latencies, without a clock."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from compression_runner.evaluation.speed.latency_run import Block, LatencyRun
from compression_runner.evaluation.speed.queries import Queries, Taken, as_they_are
from compression_runner.evaluation.speed.scenario import Scenario
from compression_runner.evaluation.speed.sizing import size_queue
from compression_runner.evaluation.statistics.alpha_spending import each_look, look_sizes
from compressionjob.estimate import UNBOUNDED_RATIO, Estimate
from compressionjob.objectives import Sla
from compressionjob.sla_objectives import LATENCY, SPEEDUP
from compressionjob.verdict import judge

CONFIDENCE = 0.95
RUNS = 1000
ALLOWED = 0.065
"""Wrong verdicts in so many runs: 5 %, and two standard errors of such a share."""


def _drawn(generator: np.random.Generator, factor: float, count: int = 67) -> Block:
    seconds = factor * (0.01 + 0.01 * generator.standard_exponential(count))
    return Block(Queries(seconds, seconds))


def _percentile(quantile: float) -> float:
    return 0.01 - 0.01 * math.log(1.0 - quantile)


def _latency_verdict(name: str, limit: float, estimate: Estimate) -> str:
    sla = Sla.model_validate({"latency": {"percentile": name, "max": f"{limit * 1e6:.3f}us"}})
    return judge(sla, {LATENCY: estimate}).verdict


@pytest.mark.parametrize(("name", "quantile"), [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)])
def test_verdicts_on_a_percentile_keep_the_error_rate(name: str, quantile: float) -> None:
    generator = np.random.default_rng(int(100 * quantile))
    true = _percentile(quantile)
    wrong = {"kept": 0, "at": 0, "broken": 0}
    decided = 0
    for _ in range(RUNS):
        run = LatencyRun([(block, block) for block in (_drawn(generator, 1.0) for _ in range(10))])
        estimate = run.percentile(1, name, CONFIDENCE)
        wrong["kept"] += _latency_verdict(name, true * 1.03, estimate) == "Fail"
        wrong["at"] += _latency_verdict(name, true, estimate) != "Inconclusive"
        wrong["broken"] += _latency_verdict(name, true / 1.03, estimate) == "Pass"
        decided += _latency_verdict(name, true * 1.5, estimate) == "Pass"
    assert max(wrong.values()) <= ALLOWED * RUNS, wrong
    assert decided >= 0.8 * RUNS, "far from the limit they decide"


def test_verdicts_on_a_speed_up_keep_the_error_rate() -> None:
    generator = np.random.default_rng(7)
    wrong = {"at": 0, "broken": 0}
    for _ in range(RUNS):
        noise = generator.uniform(1.0, 1.5, 10)  # what slows both blocks of a pair
        run = LatencyRun([(_drawn(generator, 1.5 * slow), _drawn(generator, slow)) for slow in noise])
        estimate = run.speedup("p50", CONFIDENCE)
        assert estimate is not None
        for case, limit in (("at", 1.5), ("broken", 1.55)):
            verdict = _speedup_verdict(str(limit), estimate)
            wrong[case] += verdict == "Pass" or (case == "at" and verdict == "Fail")
    assert max(wrong.values()) <= ALLOWED * RUNS, wrong


def _queue(generator: np.random.Generator, rate: float, service: float, settling: int, count: int) -> Block:
    """Return a queue by Lindley's recursion: exponential times between arrivals and of answers (M/M/1)."""
    taken = service * generator.standard_exponential(settling + count)
    between = generator.standard_exponential(settling + count) / rate
    steps = np.concatenate([[0.0], np.cumsum(taken[:-1] - between[1:])])
    waited = steps - np.minimum.accumulate(steps)
    return Block(Queries(waited + taken, taken).after(settling))


@pytest.mark.parametrize("load", [0.5, 0.7])
@pytest.mark.parametrize(("name", "quantile"), [("p50", 0.5), ("p90", 0.9)])
def test_verdicts_on_a_queue_keep_the_error_rate(load: float, name: str, quantile: float) -> None:
    """The truth of M/M/1 is exact: the time from arrival to answer is exponential of rate mu - lambda."""
    service = 0.01
    rate = load / service
    true = -math.log(1.0 - quantile) / (1.0 / service - rate)
    size = size_queue(rate, (service, service), 400.0, quantile, CONFIDENCE)
    generator = np.random.default_rng(int(100 * load * quantile))
    wrong = 0
    for _ in range(RUNS):
        blocks = [_queue(generator, rate, service, size.warm_up, size.queries) for _ in range(size.looks[0])]
        run = LatencyRun([(block, block) for block in blocks], Scenario("Server", rate), size.warm_up)
        wrong += _latency_verdict(name, true, run.percentile(1, name, CONFIDENCE)) != "Inconclusive"
    assert wrong <= ALLOWED * RUNS


def test_a_growing_queue_is_unbounded_despite_fast_first_queries() -> None:
    generator = np.random.default_rng(3)
    blocks = [_queue(generator, 130.0, 0.01, 10, 40) for _ in range(20)]
    run = LatencyRun([(block, block) for block in blocks], Scenario("Server", 130.0), 10)
    assert float(np.median(np.concatenate(run.latencies(1)))) < 0.5
    assert run.percentile(1, "p50", CONFIDENCE).low == 86_400.0


def test_a_queue_that_may_not_have_settled_has_no_upper_bound() -> None:
    generator = np.random.default_rng(4)
    blocks = [_queue(generator, 95.0, 0.01, 10, 40) for _ in range(20)]
    estimate = LatencyRun([(block, block) for block in blocks], Scenario("Server", 95.0), 10).percentile(1, "p50", 0.95)
    assert estimate.low < estimate.high == 86_400.0
    assert "too near for the queue to settle" in estimate.reason


@pytest.mark.parametrize(("name", "runs"), [("p50", 300), ("p90", 300), ("p99", 40)])
def test_repeated_looks_at_a_speed_up_keep_the_error_rate(name: str, runs: int) -> None:
    """The limit is the truth, and the run stops at the first decisive look: any decision is wrong."""
    generator, looks = np.random.default_rng(12), 5
    sizes, confidence = look_sizes(8, 40, looks), each_look(CONFIDENCE, looks)
    wrong = 0
    for _ in range(runs):
        shared = generator.uniform(1.0, 1.5, sizes[-1])
        pairs = [(_drawn(generator, 1.5 * slow, 25), _drawn(generator, slow, 25)) for slow in shared]
        estimates = (LatencyRun(pairs[:size]).speedup(name, confidence) for size in sizes)
        wrong += any(
            estimate is not None and _speedup_verdict("1.5", estimate) != "Inconclusive" for estimate in estimates
        )
    assert wrong <= binom.ppf(0.975, runs, 0.05), "5 %, and as many as chance may add"


def _disturbed(generator: np.random.Generator, factor: float, *, exact: bool) -> Block:
    """Return a block of which others took 40 % of the time: three queries in ten wait for them, half as long as all
    take.

    The kernel counts the waiting of all threads; of a model that works in one thread, it is known to the moment.
    """
    quiet = factor * (0.01 + 0.01 * generator.standard_exponential(67))
    hit = generator.random(67) < (0.3 if exact else 0.02)
    delay = np.where(hit, generator.exponential(0.045, 67), 0.0)
    taken = Taken(delay if exact else np.zeros(67), delay)
    return Block(as_they_are(quiet + delay, quiet + delay, taken))


@pytest.mark.parametrize(("name", "quantile"), [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)])
def test_neighbours_of_a_sequential_model_neither_falsify_nor_prevent_a_verdict(name: str, quantile: float) -> None:
    generator = np.random.default_rng(int(100 * quantile) + 1)
    true = _percentile(quantile)
    wrong = {"at": 0, "broken": 0}
    decided = {"kept": 0, "broken": 0}
    for _ in range(RUNS):
        run = LatencyRun([(block, block) for block in (_disturbed(generator, 1.0, exact=True) for _ in range(20))])
        estimate = run.percentile(1, name, CONFIDENCE)
        wrong["at"] += _latency_verdict(name, true, estimate) != "Inconclusive"
        wrong["broken"] += _latency_verdict(name, true / 1.25, estimate) == "Pass"
        decided["kept"] += _latency_verdict(name, true * 1.25, estimate) == "Pass"
        decided["broken"] += _latency_verdict(name, true / 1.25, estimate) == "Fail"
    assert max(wrong.values()) <= ALLOWED * RUNS, wrong
    assert min(decided.values()) >= 0.8 * RUNS, decided


@pytest.mark.parametrize("exact", [True, False])
def test_neighbours_do_not_falsify_a_verdict_on_a_speed_up(exact: bool) -> None:
    """Delays of both models pull the measured ratio towards 1: that must not decide."""
    generator = np.random.default_rng(8)
    wrong = decided = 0
    for _ in range(RUNS):
        pairs = [(_disturbed(generator, 1.5, exact=exact), _disturbed(generator, 1.0, exact=exact)) for _ in range(20)]
        estimate = LatencyRun(pairs).speedup("p50", CONFIDENCE)
        assert estimate is not None
        wrong += _speedup_verdict("1.5", estimate) != "Inconclusive"
        decided += _speedup_verdict("1.2", estimate) == "Pass"
    assert wrong <= ALLOWED * RUNS
    assert decided >= 0.8 * RUNS


def test_with_several_threads_waiting_lowers_only_the_lower_bound() -> None:
    generator = np.random.default_rng(9)
    blocks = [_disturbed(generator, 1.0, exact=False) for _ in range(20)]
    run = LatencyRun([(block, block) for block in blocks])
    raw = LatencyRun([(Block(Queries(b.queries.latency, b.queries.service)),) * 2 for b in blocks])
    assert run.percentile(1, "p99", CONFIDENCE).high == raw.percentile(1, "p99", CONFIDENCE).high
    assert run.percentile(1, "p99", CONFIDENCE).low < raw.percentile(1, "p99", CONFIDENCE).low


def test_a_speed_up_that_may_be_all_noise_has_no_upper_bound() -> None:
    times = np.full(10, 0.01)
    block = Block(as_they_are(times, times, Taken(np.zeros(10), 2.0 * times)))
    speedup = LatencyRun([(block, block)] * 20).speedup("p50", CONFIDENCE)
    assert speedup is not None
    assert speedup.high == UNBOUNDED_RATIO
    assert 0.0 < speedup.low < 1e-6
    assert speedup.value == 1.0


def _speedup_verdict(limit: str, estimate: Estimate) -> str:
    limits = Sla.model_validate({"latency": {"percentile": "p50", "minSpeedup": limit}})
    return judge(limits, {SPEEDUP: estimate}).verdict
