"""Failures have distinct reasons."""

import pytest

from compression_operator.loop.reconcile import reconcile
from compression_operator.records.pod import PodRecord
from tests.support.operator.builders import (
    NOW,
    child,
    condition_of,
    ended_pod,
    failed,
    job,
    observe,
    pod,
    running_pod,
    settle,
    violation,
)

POLICY, BACKOFF = "PodFailurePolicy", "BackoffLimitExceeded"
QUOTED = "Container runner for pod default/x failed with exit code 5 matching FailJob rule at index 1"
FULL = 'Usage of EmptyDir volume "work" exceeds the limit "20Gi".'


@pytest.mark.parametrize(
    ("why", "seen", "reason", "says"),
    [
        (POLICY, ended_pod(code=137, reason="OOMKilled"), "OutOfMemory", "limits.memory: 2Gi"),
        (BACKOFF, ended_pod(code=137), "RetriesExhausted", "SIGKILL"),
        (POLICY, ended_pod(code=2), "InvalidInput", "exit code 2"),
        (POLICY, ended_pod(code=5, message=violation("BadRecipe", "no linear layer", field="spec.pipeline[0]")),
         "BadRecipe", "spec.pipeline[0]: no linear layer"),
        (POLICY, ended_pod(code=7), "DiskFull", "workspace.size"),
        (POLICY, ended_pod(code=2, message=violation("SomethingNew", "odd")), "InvalidInput", "odd"),
        (BACKOFF, ended_pod(code=4, message=violation("StorageUnavailable", "503 from s3")),
         "StorageUnavailable", "4 attempts failed; the last: 503 from s3"),
        (BACKOFF, ended_pod(code=1), "RetriesExhausted", "4 attempts failed; the last: exit code 1"),
        (BACKOFF, ended_pod(code=1, message="Traceback"), "RetriesExhausted", "the pod's log"),
        (BACKOFF, pod(phase="Failed", reason="Evicted", message=FULL), "DiskFull", FULL),
        (BACKOFF, pod(phase="Failed", reason="AdmissionError", message="no GPU"), "RetriesExhausted", "no GPU"),
    ],
)  # fmt: skip
def test_the_reason_of_a_failure(why: str, seen: PodRecord, reason: str, says: str) -> None:
    observed = observe(child=failed(why, failed=4), pods=(seen,))
    record, plan = settle(observed)
    condition = condition_of(plan, "Failed")
    assert (condition["status"], condition["reason"]) == ("True", reason)
    assert says in condition["message"]
    assert (record.phase, record.reason) == ("Failed", reason)
    assert plan.status is not None
    assert plan.status["retries"] == 3


@pytest.mark.parametrize(
    ("field", "secret"),
    [("spec.model.source", "models"), ("spec.output.destination", "s3"), ("spec.data.evaluation.source", "s3")],
)
def test_refused_keys_show_the_command_to_replace_them(field: str, secret: str) -> None:
    refusal = violation(
        "InvalidInput", "the store says 403", field=field, remedy="correct the keys in the Secret, or more"
    )
    record = job(spec__model__storage={"secretName": "models"})
    _, plan = settle(observe(record, child=failed(POLICY, failed=1), pods=(ended_pod(code=2, message=refusal),)))
    message = condition_of(plan, "Failed")["message"]
    assert message.endswith(
        f": kubectl -n default patch secret {secret} --type=merge --patch="
        """'{"stringData":{"AWS_ACCESS_KEY_ID":"ID","AWS_SECRET_ACCESS_KEY":"KEY"}}'"""
    )


def test_refused_keys_of_a_store_are_those_of_its_secret() -> None:
    remedy = "correct the keys in the Secret, or more"
    refusal = violation("InvalidInput", "the store says 403", field="spec.model.source", remedy=remedy)
    began = {"part": "Run", "phase": "Running", "stores": [{"name": "team-a", "secretName": "team-a-keys"}]}
    record = job(spec__storage={"store": "team-a"}, status=began)
    _, plan = settle(observe(record, child=failed(POLICY, failed=1), pods=(ended_pod(code=2, message=refusal),)))
    assert "patch secret team-a-keys --type=merge" in condition_of(plan, "Failed")["message"]


def test_single_attempt_is_singular() -> None:
    _, plan = settle(observe(child=failed(BACKOFF, failed=1), pods=(ended_pod(code=1),)))
    assert condition_of(plan, "Failed")["message"].startswith("1 attempt failed: exit code 1")


def test_killed_pod_is_retried_except_for_its_memory_limit() -> None:
    killed = (ended_pod(code=137), running_pod("pod-b", created=5))
    record, plan = settle(observe(child=child(active=1, failed=1), pods=killed))
    assert (plan.patch_child, record.phase, record.status().retries) == (None, "Running", 1)


def test_a_pod_over_its_memory_limit_ends_the_job_before_another_starts() -> None:
    killed = (ended_pod(code=137, reason="OOMKilled"),)
    record, plan = settle(observe(child=child(failed=1), pods=killed))
    assert plan.patch_child == {"spec": {"activeDeadlineSeconds": 1}}
    assert record.phase != "Failed"
    ending = observe(record, child=child(failed=1, deadline=1), pods=(*killed, pod("pod-b", created=5)))
    assert settle(ending)[0].reason == "OutOfMemory"
    over = observe(record, child=failed("DeadlineExceeded", deadline=1, failed=1), pods=killed)
    assert settle(over)[0].reason == "OutOfMemory"


def test_the_deadline_is_a_reason_of_its_own() -> None:
    _, plan = settle(observe(job(spec__deadline="2h"), child=failed("DeadlineExceeded")))
    assert condition_of(plan, "Failed")["reason"] == "DeadlineExceeded"
    assert "spec.deadline (2h)" in condition_of(plan, "Failed")["message"]


def test_failed_child_without_pods_is_explained_by_its_message() -> None:
    lost = failed(POLICY, QUOTED, failed=1)
    assert reconcile(observe(child=lost), NOW).confirm
    _, plan = settle(observe(child=lost, confirmed=True))
    assert condition_of(plan, "Failed")["reason"] == "BadRecipe"
    assert "the pod is gone" in condition_of(plan, "Failed")["message"]


def test_preempted_pods_are_never_the_reason() -> None:
    preempted = pod("pod-z", phase="Failed", conditions=(("DisruptionTarget", "True", "Preemption", ""),), created=9)
    _, plan = settle(observe(child=failed(POLICY, failed=1), pods=(ended_pod(code=2), preempted)))
    assert condition_of(plan, "Failed")["reason"] == "InvalidInput"


def test_failed_attempt_is_counted_and_reported_once() -> None:
    seen = (ended_pod("pod-a", code=4, message=violation("StorageUnavailable", "503")), running_pod("pod-b", created=5))
    record, plan = settle(observe(child=child(active=1, failed=1), pods=seen))
    assert plan.status is not None
    assert plan.status["retries"] == 1
    assert [note.text == "attempt 1 of 4 failed: 503" for note in plan.events if note.reason == "Retrying"] == [True]
    assert record.phase == "Running"
    assert reconcile(observe(record, child=child(active=1, failed=1), pods=seen), NOW).empty


def test_retries_never_reset() -> None:
    record, _ = settle(observe(child=child(active=1, failed=2), pods=(running_pod(),)))
    _, plan = settle(observe(record, child=child(active=1, failed=0), pods=(running_pod(),)))
    assert (plan.status or {"retries": 2})["retries"] == 2
