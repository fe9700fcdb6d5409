"""The search for the highest rate, on simulated servers whose highest rate is known from a long simulation."""

import math
from collections import Counter
from functools import cache
from typing import Any

import pytest

from compression_runner.evaluation.serving.find_rate import FindRate, RatePlan
from compression_runner.evaluation.serving.rate_report import rate_estimates, rate_report
from compression_runner.evaluation.serving.rate_run import TESTS, RateRun
from compression_runner.evaluation.statistics.alpha_spending import each_look
from compressionjob.estimate import UNBOUNDED_RATE
from compressionjob.objectives import Sla
from compressionjob.serving import Serving
from compressionjob.verdict import interval_confidence, judge
from tests.support.simulated_server import SimulatedServer

SLOTS, SECONDS, LIMIT = 8, 0.2, 0.06
RUNS = 16
TIME = 300.0
"""Simulated seconds of a run: a few thousand requests to each model."""
LONG = 1200.0


@cache
def truth(factor: float) -> float:
    """Return the highest rate of a server that is this much slower."""
    return SimulatedServer(SLOTS, SECONDS * factor).highest_rate(0.9, LIMIT)


def find(
    goodput: dict[str, Any] | None,
    factor: float = 1.0,
    seed: int = 0,
    seconds: float = TIME,
    limit: float = LIMIT,
    resident: bool = True,
) -> tuple[RateRun, dict[str, str], float]:
    """Return a run whose compressed model is slower by a factor, the verdicts on its limits, and the seconds spent."""
    servers = SimulatedServer(SLOTS, SECONDS), SimulatedServer(SLOTS, SECONDS * factor)
    limits = Sla.model_validate(
        {
            "ttft": {"percentile": "p90", "max": f"{1000 * limit:g}ms"},
            **({"goodput": {name: f"{value:.4f}" for name, value in goodput.items()}} if goodput else {}),
        }
    )

    def verdicts(run: RateRun) -> dict[str, str]:
        estimates = {name: one for name, one in rate_estimates(limits, run).items() if one}
        return {result.name: result.verdict for result in judge(limits, estimates).objectives}

    def clock() -> float:
        return servers[0].clock + servers[1].clock

    run = FindRate(
        plan=RatePlan(limits, each_look(interval_confidence(limits)), seconds, seed),
        alone=(servers[0].alone, servers[1].alone),
        block=lambda side, load, requests, number: servers[side].block(load, requests, 1000 * seed + 2 * number + side),
        clock=clock,
        resident=resident,
        decided=lambda run: "Inconclusive" not in verdicts(run).values(),
    ).measure()
    return run, verdicts(run), clock()


def test_the_interval_of_each_model_holds_its_highest_rate() -> None:
    run, verdicts, spent = find(None, factor=1.5, seconds=LONG)
    assert verdicts == {"ttft": "Pass"}
    assert spent < LONG
    for side, factor in enumerate((1.0, 1.5)):
        rate = run.max_rate(side)
        assert 0.5 * truth(factor) < rate.low <= truth(factor) <= rate.high < 2.0 * truth(factor)
    assert run.ratio().low < truth(1.5) / truth(1.0) < run.ratio().high
    # The latency that is judged is that at the highest rate that holds.
    shown = run.shown(1)
    assert shown is not None
    assert shown.rate == run.low(1)
    assert run.latencies()["ttft"].high <= LIMIT


@pytest.mark.parametrize("name", ["min", "minRatio"])
def test_wrong_verdicts_are_rare_at_under_and_over_the_truth(name: str) -> None:
    factor = 1.5
    right = truth(factor) if name == "min" else truth(factor) / truth(1.0)
    objective = "goodput" if name == "min" else "goodput.ratio"
    made: dict[float, Counter[str]] = {}
    ends = 0
    for distance in (0.6, 1.0, 1.6):
        runs = [find({name: distance * right}, factor, seed) for seed in range(RUNS)]
        made[distance] = Counter(verdicts[objective] for _, verdicts, _ in runs)
        for run, _, _ in runs:
            assert len(run.tests) <= TESTS
            ends += sum(not run.low(side) <= truth(one) <= run.high(side) for side, one in enumerate((1.0, factor)))
    # On the truth every verdict is wrong. 3 of 16 is the 1 % point of a share of 5 %; and of 96, 10.
    wrong = {distance: made[distance]["Fail" if distance < 1.0 else "Pass"] for distance in made}
    wrong[1.0] += made[1.0]["Fail"]
    assert max(wrong.values()) <= 3, made
    assert ends <= 10
    assert made[0.6]["Pass"] > RUNS / 4, made
    assert made[1.6]["Fail"] > RUNS / 4, made


def test_a_model_that_is_twice_as_slow_fails_the_ratio() -> None:
    assert find({"minRatio": 0.9}, factor=2.0, seconds=LONG)[1]["goodput.ratio"] == "Fail"


def test_a_short_time_leaves_a_wide_interval_and_no_verdict() -> None:
    run, verdicts, spent = find({"min": truth(1.0)}, seconds=20.0)
    assert verdicts["goodput"] == "Inconclusive"
    assert run.max_rate(1).high == UNBOUNDED_RATE
    # A block that has begun goes on: none takes more than a few seconds.
    assert spent < 40.0


def test_a_limit_that_a_request_alone_breaks_has_no_rate() -> None:
    run, verdicts, _ = find({"min": 1.0}, limit=0.01, seconds=5 * LONG)
    assert verdicts == {"ttft": "Fail", "goodput": "Fail"}
    assert run.max_rate(1).low == 0.0
    assert run.max_rate(1).high <= run.lowest(1)


def test_tests_measure_no_block_of_the_search_and_servers_that_do_not_fit_run_in_turns() -> None:
    for resident in (True, False):
        run, _, _ = find({"minRatio": 0.5}, resident=resident)
        trials = {id(block) for trial in run.trials for block in trial.blocks}
        assert trials
        assert not trials & {id(block) for test in run.tests for block in test.blocks}
        assert {test.side for test in run.tests} == {0, 1}


def test_ends_that_contradict_each_other_decide_nothing() -> None:
    run, _, _ = find(None, seconds=LONG)
    held = next(test for test in run.of(1) if test.outcome == "holds")
    held.rate = 2.0 * run.high(1)
    rate = run.max_rate(1)
    assert (rate.low, rate.high) == (0.0, UNBOUNDED_RATE)
    assert "limits broke at" in rate.reason


def test_the_report_has_every_rate_that_was_tried() -> None:
    limits = Sla.model_validate({"ttft": {"percentile": "p90", "max": f"{1000 * LIMIT:g}ms"}})
    serving = Serving.model_validate({"findMaxRate": True, "outputTokens": 2})
    run, _, _ = find(None, factor=1.5, seconds=LONG)
    report = rate_report(limits, serving, run, {"engine": "vllm 1"}, (3.0, 4.0))
    for side, model in enumerate((report.baseline, report.compressed)):
        assert len(model.rates) == len([test for test in (*run.trials, *run.tests) if test.side == side])
        assert model.max_rate == run.max_rate(side)
        assert model.requests_per_second == pytest.approx(run.low(side))
        for one in model.rates:
            assert one.goodput <= one.rate
            assert (one.interval is None) == (one.limits == "trial")
    assert report.find_max_rate
    assert report.max_rate_ratio == run.ratio()
    assert not report.ratios
    assert math.isfinite(report.max_rate_ratio.high if report.max_rate_ratio else math.inf)
