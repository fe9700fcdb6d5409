"""A pod that ran to its end leaves a verdict, which becomes the status."""

import pytest

from compression_operator.loop.reconcile import reconcile
from tests.support.operator.builders import (
    NOW,
    after,
    complete,
    condition_of,
    ended_pod,
    observe,
    running_pod,
    settle,
    stamp,
    summary,
    violation,
)


@pytest.mark.parametrize(
    ("verdict", "published", "phase", "reason", "satisfied"),
    [
        ("Pass", True, "Succeeded", "SLAMet", "True"),
        ("Fail", False, "Failed", "SLAViolated", "False"),
        ("Fail", True, "Succeeded", "PublishedDespiteViolation", "False"),
        ("Inconclusive", False, "Failed", "SLAInconclusive", "Unknown"),
        ("Inconclusive", True, "Succeeded", "PublishedDespiteViolation", "Unknown"),
    ],
)
def test_the_verdict_becomes_phase_and_conditions(
    verdict: str, published: bool, phase: str, reason: str, satisfied: str
) -> None:
    pods = (ended_pod(message=summary(verdict, published=published)),)
    record, plan = settle(observe(child=complete(), pods=pods))
    assert (record.phase, record.reason) == (phase, reason)
    assert condition_of(plan, "SLASatisfied")["status"] == satisfied
    assert condition_of(plan, "Complete")["status"] == ("True" if phase == "Succeeded" else "False")
    assert plan.status is not None
    assert (plan.status["verdict"], plan.status["completionTime"]) == (verdict, stamp())


def test_a_fallback_is_a_good_end_that_says_what_was_given_up() -> None:
    given_up = "the result of prune is published; given up: quantize; the whole pipeline's verdict is Fail"
    message = summary("Pass", fallback=given_up)
    record, plan = settle(observe(child=complete(), pods=(ended_pod(message=message),)))
    assert (record.phase, record.reason) == ("Succeeded", "PublishedFallback")
    satisfied = condition_of(plan, "SLASatisfied")
    assert (satisfied["status"], satisfied["reason"]) == ("True", "Pass")
    for text in (satisfied["message"], condition_of(plan, "Complete")["message"]):
        assert text == f"all 3 objectives hold; {given_up}"
    assert plan.status is not None
    assert plan.status["fallback"] == given_up
    assert plan.status["artifact"] == "s3://models/minilm-int8"


def test_the_figures_become_status() -> None:
    _, plan = settle(observe(child=complete(), pods=(ended_pod(message=summary()),)))
    assert plan.status is not None
    assert plan.status["sizeRatio"] == "0.2500"
    assert plan.status["latencyP99"] == "7.3ms"
    assert plan.status["confidence"] == "0.95"
    assert plan.status["progress"] == 100
    assert plan.status["artifact"] == "s3://models/minilm-int8"
    assert "stage" not in plan.status


def test_a_broken_promise_is_a_condition_whatever_the_verdict() -> None:
    message = summary("Pass", anomalies=["INT8 is slower than the baseline"])
    _, plan = settle(observe(child=complete(), pods=(ended_pod(message=message),)))
    promised = condition_of(plan, "AsPromised")
    assert (promised["status"], promised["reason"]) == ("False", "PromiseBroken")
    assert "slower" in promised["message"]
    assert condition_of(plan, "SLASatisfied")["status"] == "True"


@pytest.mark.parametrize("message", ["", "{", "[]", violation("InvalidInput"), '{"verdict": "Maybe"}'])
def test_a_summary_that_is_not_there_is_looked_for_and_then_missed(message: str) -> None:
    pods = (ended_pod(message=message),)
    assert reconcile(observe(child=complete(), pods=pods), NOW).confirm
    record, plan = settle(observe(child=complete(), pods=pods, confirmed=True))
    assert (record.phase, record.reason) == ("Failed", "SummaryMissing")
    assert condition_of(plan, "Failed")["message"]


def test_a_pod_that_is_gone_is_told_from_one_that_said_nothing() -> None:
    _, plan = settle(observe(child=complete(), confirmed=True))
    assert "it was deleted before" in condition_of(plan, "Failed")["message"]


def test_a_verdict_is_given_once() -> None:
    record, _ = settle(observe(child=complete(), pods=(ended_pod(message=summary("Pass")),)))
    for pods in ((), (ended_pod(message=summary("Fail")),), (running_pod(),)):
        assert reconcile(observe(record, child=complete(), pods=pods), after(60)).empty
