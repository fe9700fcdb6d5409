"""The verdict as a function of intervals and limits."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressionjob.estimate import Estimate
from compressionjob.objectives import LIMITS, Sla, sets_limits
from compressionjob.sla_objectives import LATENCY, SIZE_RATIO, SPEEDUP, objectives_of
from compressionjob.verdict import ObjectiveResult, interval_confidence, judge

SLA = Sla.model_validate(
    {
        "quality": {"metric": "cosine", "maxDrop": "0.01"},
        "latency": {"percentile": "p99", "max": "20ms", "minSpeedup": "1.5"},
        "throughput": {"min": "100"},
        "size": {"maxRatio": "0.26", "max": "30Mi"},
        "memory": {"max": "512Mi", "maxRatio": "0.9"},
    }
)
GOOD = {
    "quality.drop": Estimate(value=0.005, low=0.004, high=0.006),
    "latency": Estimate(value=0.008, low=0.007, high=0.009),
    "latency.speedup": Estimate(value=1.9, low=1.8, high=2.0),
    "throughput": Estimate(value=150, low=140, high=160),
    "size.ratio": Estimate.exact(0.25),
    "size": Estimate.exact(23e6),
    "memory": Estimate.exact(200e6),
    "memory.ratio": Estimate.exact(0.6),
}


def test_all_objectives_within_their_limits_pass() -> None:
    judgement = judge(SLA, GOOD)
    assert judgement.verdict == "Pass"
    assert [result.verdict for result in judgement.objectives] == ["Pass"] * 8
    assert "all 8 limits hold at 95 % confidence" in judgement.sentence()


@pytest.mark.parametrize(
    ("name", "estimate", "verdict"),
    [
        ("quality.drop", Estimate(value=0.02, low=0.015, high=0.03), "Fail"),
        ("quality.drop", Estimate(value=0.01, low=0.009, high=0.012), "Inconclusive"),
        ("latency", Estimate(value=0.03, low=0.021, high=0.04), "Fail"),
        ("latency", Estimate(value=0.019, low=0.018, high=0.021), "Inconclusive"),
        ("latency.speedup", Estimate(value=1.2, low=1.1, high=1.3), "Fail"),
        ("latency.speedup", Estimate(value=1.55, low=1.4, high=1.6), "Inconclusive"),
        ("size.ratio", Estimate.exact(0.2601), "Fail"),
        ("size.ratio", Estimate.exact(0.26), "Pass"),
        ("memory", Estimate.exact(600e6), "Fail"),
    ],
)
def test_one_objective_decides(name: str, estimate: Estimate, verdict: str) -> None:
    assert judge(SLA, GOOD | {name: estimate}).verdict == verdict


def test_the_sentence_of_a_verdict_counts_its_limits() -> None:
    one = Sla.model_validate({"size": {"maxRatio": 0.26}, "confidence": "0.999"})
    assert judge(one, {SIZE_RATIO: Estimate.exact(0.2)}).sentence() == "the 1 limit holds at 99.9 % confidence"
    two = judge(SLA, GOOD | {SIZE_RATIO: Estimate.exact(0.5), "memory": Estimate.exact(600e6)})
    assert two.sentence().startswith("2 limits are broken: size.ratio is 0.5")


def test_a_fail_outweighs_inconclusive() -> None:
    open_question = Estimate(value=0.01, low=0.0, high=0.02)
    judgement = judge(SLA, GOOD | {"quality.drop": open_question, SIZE_RATIO: Estimate.exact(0.5)})
    assert judgement.verdict == "Fail"
    assert judgement.sentence() == "1 limit is broken: size.ratio is 0.5, limit at most 0.26"


def test_the_reason_of_an_inconclusive_objective_is_reported() -> None:
    doubtful = Estimate(value=0.031, low=0.012, high=0.035, reason="other processes used 40% of the CPU time")
    judgement = judge(SLA, GOOD | {"latency": doubtful})
    assert judgement.verdict == "Inconclusive"
    assert judgement.sentence() == (
        "the measurement cannot decide 1 limit: latency is 31ms (12ms to 35ms), limit at most 20ms "
        "(other processes used 40% of the CPU time)"
    )
    kept = judge(SLA, GOOD | {"latency": GOOD["latency"].model_copy(update={"reason": "noise"})})
    assert kept.verdict == "Pass"
    assert all(result.reason == "" for result in kept.objectives), "a Pass needs no excuse"
    long = doubtful.model_copy(update={"reason": "noise " * 100})
    assert len(judge(SLA, GOOD | {"latency": long}).objectives[1].reason) == 256


def test_an_objective_without_measurement_is_inconclusive() -> None:
    estimates = {name: estimate for name, estimate in GOOD.items() if name != SPEEDUP}
    judgement = judge(SLA, estimates)
    assert judgement.verdict == "Inconclusive"
    assert "latency.speedup was not measured" in judgement.sentence()


@pytest.mark.parametrize("sla", [{}, {"confidence": "0.9", "onViolation": "Alert", "runtime": "edge"}])
def test_without_limits_the_verdict_is_no_limits(sla: dict[str, str]) -> None:
    judgement = judge(Sla.model_validate(sla), GOOD)
    assert judgement.verdict == "NoLimits"
    assert judgement.sentence() == "the job sets no limits, so nothing was judged"
    assert not sets_limits({"sla": sla})


NO_LIMITS: list[dict[str, Any]] = [{}, {"sla": None}, {"sla": {"quality": None}}]


def test_limits_are_detected_in_a_manifest() -> None:
    assert all(sets_limits({"sla": {name: {"of": "some version"}}}) for name in LIMITS)
    assert not any(sets_limits(spec) for spec in NO_LIMITS)


def test_intervals_are_wide_enough_for_all_objectives_together() -> None:
    assert interval_confidence(SLA) == pytest.approx(1 - 0.05 / 8)
    assert interval_confidence(Sla()) == pytest.approx(0.95)


@given(st.floats(0.001, 10), st.floats(0, 1), st.floats(0.001, 10))
def test_a_narrower_interval_never_turns_pass_into_fail(value: float, width: float, limit: float) -> None:
    sla = Sla.model_validate({"latency": {"minSpeedup": f"{limit:.6f}"}})
    wide = Estimate(value=value, low=value * (1 - width), high=value * (1 + width))
    verdicts = {judge(sla, {SPEEDUP: item}).verdict for item in (wide, Estimate.exact(value))}
    assert verdicts != {"Pass", "Fail"}


def test_every_limit_has_an_objective() -> None:
    assert {objective.name for objective in objectives_of(SLA)} == GOOD.keys()


def test_the_worst_group_of_a_regression_has_the_largest_error() -> None:
    (objective,) = objectives_of(Sla.model_validate({"fairness": {"maxWorst": "50"}}))
    assert (objective.direction, objective.unit) == ("at most", "error")
    sla = Sla.model_validate({"fairness": {"maxWorst": "50"}})
    judged = judge(sla, {"fairness.worst": Estimate(value=60, low=55, high=70)})
    assert judged.sentence() == "1 limit is broken: fairness.worst is 60 (55 to 70), limit at most 50"


ERRORS = Sla.model_validate({"quality": {"metric": "perplexity", "maxIncrease": "0.01", "max": "11"}})


@pytest.mark.parametrize(
    ("increase", "verdict"),
    [
        (Estimate(value=0.005, low=0.003, high=0.007), "Pass"),
        (Estimate(value=-0.02, low=-0.03, high=-0.01), "Pass"),
        (Estimate(value=0.009, low=0.007, high=0.011), "Inconclusive"),
        (Estimate(value=0.4, low=0.39, high=0.41), "Fail"),
    ],
)
def test_lower_is_better_for_errors(increase: Estimate, verdict: str) -> None:
    judgement = judge(ERRORS, {"quality.increase": increase, "quality.error": Estimate.exact(10.8213)})
    assert [result.name for result in judgement.objectives] == ["quality.increase", "quality.error"]
    assert judgement.verdict == verdict
    assert "quality.error is 10.821, limit at most 11" in judgement.objectives[1].describe()


def test_only_open_limits_have_a_remedy() -> None:
    limits = Sla.model_validate({"latency": {"max": "10ms"}})

    def result(**more: float) -> ObjectiveResult:
        return judge(limits, {LATENCY: Estimate.model_validate({"value": 0.009, "low": 0.008, **more})}).objectives[0]

    assert result(high=0.011, more_seconds=840.0).more_seconds == 840.0
    assert result(high=0.011, more_samples=3000).more_samples == 3000
    assert result(high=0.0095, more_seconds=840.0).more_seconds is None, "it is decided"
    assert result(high=0.011, more_seconds=1e9).more_seconds is None, "no job takes so long"


def test_written_intervals_do_not_contain_the_remedy() -> None:
    written = Estimate(value=1.0, low=0.5, high=2.0, more_seconds=10.0).model_dump(mode="json")
    assert set(written) == {"value", "low", "high", "reason"}


def test_a_limit_in_mebibytes_is_reported_in_mebibytes() -> None:
    result = ObjectiveResult(
        name="memory", unit="bytes", limit=400 * 2**20, measured=1.6 * 2**30, low=2**30, high=2**31, verdict="Fail"
    )
    assert result.describe() == "memory is 1.6Gi (1Gi to 2Gi), limit at most 400Mi"


def test_a_value_that_is_not_a_number_is_no_estimate() -> None:
    with pytest.raises(ValueError, match="the value is not a number"):
        Estimate(value=math.nan, low=0.0, high=1.0)
