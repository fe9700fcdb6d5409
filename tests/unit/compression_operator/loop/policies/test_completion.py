"""The summary of a complete pod becomes the status."""

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
def test_pass_of_an_older_runner_without_limits_is_no_limits(sla: dict[str, str]) -> None:
    record = job(**{"spec.sla": sla})
    pods = (ended_pod(message=summary("Pass", objectives=[], sentence="no limits were set")),)
    record, plan = settle(observe(record, child=complete(), pods=pods))
    assert (record.phase, record.reason) == ("Succeeded", "PublishedWithoutLimits")
    satisfied = condition_of(plan, "SLASatisfied")
    assert (satisfied["status"], satisfied["reason"]) == ("Unknown", "NoLimits")
    assert satisfied["message"] == "the job sets no limits, so nothing was judged"
    assert plan.status is not None
    assert plan.status["verdict"] == "NoLimits"


def test_fallback_succeeds_and_names_the_dropped_stages() -> None:
    given_up = "published the model of stage prune, without stage quantize; the verdict on the whole pipeline is Fail"
    message = summary("Pass", fallback=given_up)
    record, plan = settle(observe(child=complete(), pods=(ended_pod(message=message),)))
    assert (record.phase, record.reason) == ("Succeeded", "PublishedFallback")
    satisfied = condition_of(plan, "SLASatisfied")
    assert (satisfied["status"], satisfied["reason"]) == ("True", "Pass")
    for text in (satisfied["message"], condition_of(plan, "Complete")["message"]):
        assert text == f"all 3 limits hold; {given_up}"
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


def test_broken_promise_sets_a_condition_for_any_verdict() -> None:
    message = summary("Pass", anomalies=["INT8 is slower than the baseline"])
    _, plan = settle(observe(child=complete(), pods=(ended_pod(message=message),)))
    promised = condition_of(plan, "AsPromised")
    assert (promised["status"], promised["reason"]) == ("False", "PromiseBroken")
    assert "slower" in promised["message"]
    assert condition_of(plan, "SLASatisfied")["status"] == "True"


@pytest.mark.parametrize("message", ["", "{", "[]", violation("InvalidInput"), '{"verdict": "Maybe"}'])
def test_missing_summary_is_confirmed_and_then_reported(message: str) -> None:
    pods = (ended_pod(message=message),)
    without_retries = job(spec__retries=0)
    assert reconcile(observe(without_retries, child=complete(), pods=pods), NOW).confirm
    record, plan = settle(observe(without_retries, child=complete(), pods=pods, confirmed=True))
    assert (record.phase, record.reason) == ("Failed", "SummaryMissing")
    assert condition_of(plan, "Failed")["message"]


def test_missing_pod_and_missing_message_have_different_texts() -> None:
    _, plan = settle(observe(job(spec__retries=0), child=complete(), confirmed=True))
    assert "it was deleted before" in condition_of(plan, "Failed")["message"]


def test_lost_verdict_is_measured_again_within_retries() -> None:
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


def test_contradicting_summaries_are_ignored() -> None:
    forged = ended_pod("pod-z", message=summary("Pass", digest="sha256:" + "f" * 64))
    honest = ended_pod(message=summary("Fail"))
    record, _ = settle(observe(job(spec__retries=0), child=complete(), pods=(honest, forged), confirmed=True))
    assert (record.reason, record.status().verdict) == ("SummaryMissing", None)
    twice = (honest, ended_pod("pod-b", message=summary("Fail")))
    assert settle(observe(child=complete(), pods=twice))[0].status().verdict == "Fail"


@pytest.mark.parametrize(
    "summary_text",
    [
        summary("Pass", published=False),
        summary("Inconclusive", published=False, held=True),
    ],
)
def test_inconclusive_summary_is_ignored(summary_text: str) -> None:
    record, _ = settle(observe(job(spec__review="Always"), child=complete(), pods=(ended_pod(message=summary_text),)))
    assert (record.phase, record.status().part, record.status().verdict) == ("Pending", "Measure", None)


def test_ended_job_has_no_ongoing_condition() -> None:
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
