"""A pod that ran to its end leaves a verdict, which becomes the status."""

import pytest

from compression_operator.loop.reconcile import reconcile
from tests.support.operator.builders import (
    NOW,
    after,
    child,
    complete,
    condition_of,
    ended_pod,
    failed,
    job,
    observe,
    pod,
    running_pod,
    settle,
    stamp,
    summary,
    violation,
)

NO_NODE = (("PodScheduled", "False", "Unschedulable", "no node"),)


@pytest.mark.parametrize(
    ("verdict", "published", "phase", "reason", "satisfied"),
    [
        ("Pass", True, "Succeeded", "SLAMet", "True"),
        ("Fail", False, "Failed", "SLAViolated", "False"),
        ("Fail", True, "Succeeded", "PublishedDespiteViolation", "False"),
        ("Inconclusive", False, "Failed", "SLAInconclusive", "Unknown"),
        ("Inconclusive", True, "Succeeded", "PublishedDespiteViolation", "Unknown"),
        ("NoLimits", True, "Succeeded", "PublishedWithoutLimits", "Unknown"),
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


@pytest.mark.parametrize("sla", [{}, {"confidence": "0.9", "onViolation": "Alert"}])
def test_a_pod_of_an_older_version_does_not_make_a_pass_of_a_job_without_limits(sla: dict[str, str]) -> None:
    record = job(**{"spec.sla": sla})
    pods = (ended_pod(message=summary("Pass", objectives=[], sentence="no limits were set")),)
    record, plan = settle(observe(record, child=complete(), pods=pods))
    assert (record.phase, record.reason) == ("Succeeded", "PublishedWithoutLimits")
    satisfied = condition_of(plan, "SLASatisfied")
    assert (satisfied["status"], satisfied["reason"]) == ("Unknown", "NoLimits")
    assert satisfied["message"] == "the job sets no limits, so nothing was judged"
    assert plan.status is not None
    assert plan.status["verdict"] == "NoLimits"


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
    without_retries = job(spec__retries=0)
    assert reconcile(observe(without_retries, child=complete(), pods=pods), NOW).confirm
    record, plan = settle(observe(without_retries, child=complete(), pods=pods, confirmed=True))
    assert (record.phase, record.reason) == ("Failed", "SummaryMissing")
    assert condition_of(plan, "Failed")["message"]


def test_a_pod_that_is_gone_is_told_from_one_that_said_nothing() -> None:
    _, plan = settle(observe(job(spec__retries=0), child=complete(), confirmed=True))
    assert "it was deleted before" in condition_of(plan, "Failed")["message"]


def test_a_part_whose_verdict_is_lost_measures_again_as_often_as_retries_allow() -> None:
    record = job(spec__retries=2)
    for restart in (1, 2):
        part = record.part
        lost = observe(record, child=complete(part=part, uid=f"c-{restart}"), confirmed=True)
        record, plan = settle(lost)
        status = record.status()
        assert (record.phase, status.part, status.retries, status.restarts) == ("Pending", "Measure", restart, restart)
        assert "measured again, from its checkpoints" in status.message
        assert [note.reason for note in plan.events][-1] == "Retrying"
        assert record.child_name == f"minilm-int8-0a1b2c3d-measure-{restart}"
        plan = reconcile(observe(record), NOW)
        assert plan.create is not None
        assert plan.create["metadata"]["labels"]["compression-operator.io/part"] == "Measure"
        assert plan.create["spec"]["backoffLimit"] == 2 - restart
    record, _ = settle(observe(record, child=complete(part="Measure", uid="c-3"), confirmed=True))
    assert (record.phase, record.reason) == ("Failed", "SummaryMissing")


def test_of_two_pods_that_say_different_things_none_is_believed() -> None:
    forged = ended_pod("pod-z", message=summary("Pass", digest="sha256:" + "f" * 64))
    honest = ended_pod(message=summary("Fail"))
    record, _ = settle(observe(job(spec__retries=0), child=complete(), pods=(honest, forged), confirmed=True))
    assert (record.reason, record.status().verdict) == ("SummaryMissing", None)
    twice = (honest, ended_pod("pod-b", message=summary("Fail")))
    assert settle(observe(child=complete(), pods=twice))[0].status().verdict == "Fail"


@pytest.mark.parametrize(
    "said",
    [
        summary("Pass", published=False),
        summary("Inconclusive", published=False, held=True),
    ],
)
def test_a_summary_that_does_not_say_what_became_of_the_model_is_none(said: str) -> None:
    record, _ = settle(observe(job(spec__review="Always"), child=complete(), pods=(ended_pod(message=said),)))
    assert (record.phase, record.status().part, record.status().verdict) == ("Pending", "Measure", None)


def test_an_ended_job_has_no_condition_that_goes_on() -> None:
    record, _ = settle(observe(child=child()))
    record, plan = settle(observe(record, child=complete(), pods=(ended_pod(message=summary()),)))
    placed = condition_of(plan, "Scheduled")
    assert (placed["status"], placed["reason"]) == ("True", "PodScheduled")
    record, _ = settle(observe(child=child(), pods=(pod(conditions=NO_NODE),)))
    record, plan = settle(observe(record, child=failed("DeadlineExceeded"), confirmed=True))
    placed, judged = condition_of(plan, "Scheduled"), condition_of(plan, "SLASatisfied")
    assert (placed["status"], placed["reason"]) == ("False", "JobEnded")
    assert "Unschedulable: no node" in placed["message"]
    assert (judged["status"], judged["reason"]) == ("Unknown", "NoVerdict")


def test_a_verdict_is_given_once() -> None:
    record, _ = settle(observe(child=complete(), pods=(ended_pod(message=summary("Pass")),)))
    for pods in ((), (ended_pod(message=summary("Fail")),), (running_pod(),)):
        assert reconcile(observe(record, child=complete(), pods=pods), after(60)).empty
