"""Looks at the objectives: decisions, intervals, and the remedies for undecided ones."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from compression_runner.evaluation.interim import Interim
from compression_runner.evaluation.machine.noise import Noise
from compressionjob.estimate import Estimate
from compressionjob.objectives import Sla
from compressionjob.performance_limits import ThroughputLimit
from compressionjob.sla_objectives import COST, LATENCY, MEMORY, QUALITY_DROP, QUALITY_SCORE, SPEEDUP, THROUGHPUT
from compressionjob.verdict import judge

LIMITS = Sla.model_validate(
    {"latency": {"percentile": "p50", "max": "10ms", "minSpeedup": "1.2"}, "quality": {"maxDrop": "0.02"}}
)
NOISY = Noise(
    elapsed=10.0, total=20.0, own=6.0, steal=0.0, other=8.0, waited=4.0,
    throttled_periods=None, throttled_seconds=None, frequency=None, hot=None,
)  # fmt: skip


@pytest.fixture
def interim() -> Interim:
    """Return looks by a clock that moves by a second at each look at it."""
    seconds: Iterator[float] = iter(np.arange(0.0, 1e6))
    return Interim(LIMITS, 2, clock=lambda: float(next(seconds)))


def _at(value: float, reach: float, **more: Any) -> Estimate:
    return Estimate(value=value, low=value - reach, high=value + reach, **more)


def test_all_that_have_limits_must_be_decided(interim: Interim) -> None:
    fast, unlimited = _at(0.005, 0.001), _at(5.0, 50.0)
    assert not interim.decided({LATENCY: fast, SPEEDUP: _at(1.25, 0.1)}, "queries", 100)
    assert interim.decided(
        {LATENCY: fast, SPEEDUP: _at(1.25, 0.04), THROUGHPUT: unlimited},
        "queries",
        200,
    )
    assert interim.decided({LATENCY: _at(0.05, 0.001)}, "queries", 300), "a Fail is a decision, too"
    assert not interim.decided({SPEEDUP: None}, "queries", 300), "what cannot be estimated yet is open"


def test_only_figures_with_limits_are_measured_on(interim: Interim) -> None:
    assert interim.limits(LATENCY)
    assert interim.limits(THROUGHPUT, SPEEDUP)
    assert not interim.limits(THROUGHPUT, COST)


def test_the_looks_are_reported_in_the_order_of_the_limits(interim: Interim) -> None:
    interim.decided({LATENCY: _at(0.009, 0.002)}, "queries", 50)
    interim.decided({LATENCY: _at(0.008, 0.001)}, "queries", 100)
    interim.decided({QUALITY_DROP: _at(0.01, 0.004)}, "samples", 125)
    quality, latency = interim.report()
    assert (quality.objective, latency.objective) == (QUALITY_DROP, LATENCY)
    assert [(look.count, look.verdict) for look in latency.looks] == [(50, "Inconclusive"), (100, "Pass")]
    assert latency.looks[0].seconds < latency.looks[1].seconds
    assert (latency.began, latency.planned, quality.planned) == (0.0, 10, 10)
    assert latency.resolution == pytest.approx(0.001), "a limit below 9 ms would have stayed open"
    assert latency.seconds_for_half == pytest.approx(4 * latency.looks[1].seconds)


def test_an_undecided_figure_states_the_needed_measurements(interim: Interim) -> None:
    estimate = _at(0.009, 0.002)
    interim.decided({LATENCY: estimate}, "queries", 50)
    spent = interim.report()[0].looks[-1].seconds
    quiet = interim.explained({LATENCY: estimate}, None)[LATENCY].reason
    assert quiet == f"about {3 * spent:.0f}s more of measuring would decide", "half as wide takes four times as much"
    noisy = interim.explained({LATENCY: estimate}, NOISY)[LATENCY].reason
    assert noisy == f"a quiet node, or about {3 * spent:.0f}s more of measuring would decide"


def test_undecided_quality_states_the_needed_samples(interim: Interim) -> None:
    estimate = _at(0.01, 0.02, reason="late")
    interim.decided({QUALITY_DROP: estimate}, "samples", 1000)
    reason = interim.explained({QUALITY_DROP: estimate}, NOISY)[QUALITY_DROP].reason
    assert reason == "late; about 3000 more evaluation samples would decide"


def test_an_undecided_job_states_the_needed_time_limit() -> None:
    slow, rate, quality = _at(0.009, 0.002), _at(151.0, 10.0), _at(0.01, 0.02)
    limits = LIMITS.model_copy(update={"throughput": ThroughputLimit.model_validate({"min": "150"})})
    interim = Interim(limits, 2, clock=iter([0.0, 60.0, 160.0, 200.0]).__next__)
    interim.decided({LATENCY: slow}, "queries", 50)
    interim.decided({THROUGHPUT: rate.model_copy(update={"low": 149.0})}, "blocks", 8, began=60.0)
    interim.decided({QUALITY_DROP: quality}, "samples", 1000)
    estimates = {
        LATENCY: slow,
        THROUGHPUT: rate.model_copy(update={"low": 149.0}),
        QUALITY_DROP: quality,
    }
    by_name = {item.name: item for item in judge(limits, interim.explained(estimates, None)).objectives}
    assert by_name[LATENCY].more_seconds == round(180 / 0.63), "latency has 63 % of the time limit"
    assert by_name[THROUGHPUT].more_seconds == 300, "throughput has all that latency leaves"
    assert by_name[QUALITY_DROP].more_samples == 3000
    assert by_name[QUALITY_DROP].more_seconds is None


def test_no_time_is_proposed_if_the_run_ends_earlier(interim: Interim) -> None:
    estimate = _at(0.009, 0.002)
    interim.decided({LATENCY: estimate}, "queries", 48_000)
    estimate_now = interim.explained({LATENCY: estimate}, NOISY)[LATENCY]
    assert estimate_now.reason == "a quiet node, or more queries than the 50,000 of a run would decide"
    assert estimate_now.more_seconds is None
    memory = Interim(Sla.model_validate({"memory": {"max": "100"}}), 1, clock=iter([0.0, 9.0]).__next__)
    memory.decided({MEMORY: _at(99.0, 2.0)}, "processes", 12)
    estimate_now = memory.explained({MEMORY: _at(99.0, 2.0)}, NOISY)[MEMORY]
    most = "12 processes are the most that are started"
    assert estimate_now.reason == f"{most}: a limit further from the measured value would decide"
    assert estimate_now.more_seconds is None


def test_a_limit_on_the_measured_value_is_reported(interim: Interim) -> None:
    estimate = _at(0.01, 0.002)
    interim.decided({LATENCY: estimate}, "queries", 1000)
    assert "lies on the limit" in interim.explained({LATENCY: estimate}, None)[LATENCY].reason


def test_a_limit_of_a_perfect_score_stays_undecided() -> None:
    """Samples without an error do not prove that there is none, and the interval cannot exceed 1."""
    interim = Interim(Sla.model_validate({"quality": {"min": "1"}}), 2, clock=iter([0.0, 9.0]).__next__)
    perfect = Estimate(value=1.0, low=0.97, high=1.0)
    assert not interim.decided({QUALITY_SCORE: perfect}, "samples", 100)
    assert "lies on the limit" in interim.explained({QUALITY_SCORE: perfect}, None)[QUALITY_SCORE].reason


def test_decided_or_unbounded_figures_keep_their_reason(interim: Interim) -> None:
    decided, unbounded = _at(0.005, 0.001), Estimate(value=0.005, low=0.004, high=86_400.0, reason="overload")
    interim.decided({LATENCY: decided}, "queries", 10)
    assert interim.explained({LATENCY: decided}, NOISY) == {LATENCY: decided}
    assert interim.explained({LATENCY: unbounded}, None) == {LATENCY: unbounded}
    noisy = interim.explained({LATENCY: unbounded}, NOISY)[LATENCY].reason
    assert noisy == "overload; a quiet node may decide"


def test_a_long_reason_is_truncated_before_the_remedy() -> None:
    estimate = _at(0.01, 0.02, reason="it was late; " * 30)
    interim = Interim(LIMITS, 2, clock=iter([0.0, 9.0]).__next__)
    interim.decided({QUALITY_DROP: estimate}, "samples", 1000)
    explained = interim.explained({QUALITY_DROP: estimate}, None)
    results = {item.name: item for item in judge(LIMITS, explained).objectives}
    assert results[QUALITY_DROP].reason.startswith("it was late; ")
    assert results[QUALITY_DROP].reason.endswith("; about 3000 more evaluation samples would decide")


def test_too_few_queries_for_a_bound_need_a_longer_time_limit(interim: Interim) -> None:
    few = Estimate(value=1.25, low=0.0, high=100_000.0)
    interim.decided({SPEEDUP: few}, "queries", 3)
    assert interim.explained({SPEEDUP: few}, None)[SPEEDUP].reason == "a longer time limit may decide"


@pytest.mark.parametrize(
    ("name", "limits", "estimate"),
    [
        # Other processes may have taken all of the time: an implausible rate, or a cost of 0.
        (THROUGHPUT, {"throughput": {"min": "200"}}, Estimate(value=100.0, low=90.0, high=1e8)),
        (COST, {"cost": {"maxPerMillion": "0.5"}}, Estimate(value=1.0, low=1e-8, high=1.1)),
        # Or most of it.
        (SPEEDUP, {"latency": {"minSpeedup": "1.5"}}, Estimate(value=1.2, low=0.1, high=20.0)),
    ],
    ids=["throughput", "cost", "speed-up"],
)
def test_an_end_far_away_by_noise_is_not_a_value_on_the_limit(
    name: str, limits: dict[str, Any], estimate: Estimate
) -> None:
    interim = Interim(Sla.model_validate(limits), 2, clock=iter([0.0, 9.0]).__next__)
    interim.decided({name: estimate}, "blocks", 8)
    assert interim.explained({name: estimate}, NOISY)[name].reason == "a quiet node may decide"


def test_more_time_is_not_proposed_against_noise(interim: Interim) -> None:
    """An interval that noise has widened does not narrow with more queries."""
    wide, as_wide = _at(0.009, 0.0045), _at(0.009, 0.004)
    interim.decided({LATENCY: wide}, "queries", 50)
    interim.decided({LATENCY: as_wide}, "queries", 5000)
    explained = interim.explained({LATENCY: as_wide}, NOISY)[LATENCY]
    assert explained.reason.startswith("a quiet node would decide, and more time would not")
    assert "spec.benchmark.threads 1" in explained.reason
    assert explained.more_seconds is None
    assert "more of measuring would decide" in interim.explained({LATENCY: as_wide}, None)[LATENCY].reason


def test_a_lower_end_of_0_is_unbounded(interim: Interim) -> None:
    taken = Estimate(value=1.89, low=1e-8, high=100_000.0, reason="others took 100% of the time")
    interim.decided({SPEEDUP: taken}, "queries", 385)
    explained = interim.explained({SPEEDUP: taken}, NOISY)[SPEEDUP]
    assert explained.reason == "others took 100% of the time; a quiet node may decide"
    assert explained.more_seconds is None
    assert interim.report()[0].resolution is None
