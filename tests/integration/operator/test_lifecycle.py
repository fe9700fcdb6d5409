"""The life of a job on a real API server, with the real Job controller; the tests are scheduler and kubelet."""

import pytest

from tests.integration.operator.api import GROUP, Api, Namespace, Refusal, phase_is, wait_for
from tests.integration.operator.conftest import runtime
from tests.integration.operator.operators import OperatorProcess
from tests.support.manifests import REMOVE, job
from tests.support.operator.builders import summary, violation

pytestmark = pytest.mark.usefixtures("operator")


def test_a_job_runs_to_its_verdict(namespace: Namespace, operator: OperatorProcess) -> None:
    passed = operator.metric('compression_operator_verdicts_total{verdict="Pass"}')
    namespace.apply(job(spec__ttl="1h"))
    child = namespace.child()
    assert child["spec"]["podReplacementPolicy"] == "Failed"
    pod = namespace.pod()
    wait_for("it waits", lambda: namespace.condition("minilm-int8", "Scheduled").get("reason") == "WaitingForPod")
    namespace.run_pod(pod)
    running = phase_is(namespace, "Running")
    assert running["startTime"]
    namespace.end_pod(pod, message=summary("Pass"))
    status = phase_is(namespace, "Succeeded")
    assert status["verdict"] == "Pass"
    assert status["sizeRatio"] == "0.2500"
    assert namespace.condition("minilm-int8", "SLASatisfied")["status"] == "True"
    assert namespace.condition("minilm-int8", "Complete")["status"] == "True"
    wait_for("events", lambda: namespace.event_reasons() >= {"Started", "Running", "Completed"})
    assert operator.metric('compression_operator_verdicts_total{verdict="Pass"}') == passed + 1
    ratio = f'compression_operator_job_size_ratio{{job="minilm-int8",namespace="{namespace.name}"}}'
    assert operator.metric(ratio) == 0.25
    namespace.api.patch(namespace.path("cpj", "minilm-int8"), {"spec": {"ttl": "1s"}})
    wait_for("the job expires", lambda: namespace.job("minilm-int8") is None)
    wait_for("nothing is left", lambda: not namespace.children() and not namespace.pods())
    wait_for("its series ends", lambda: operator.metric(ratio) == 0)


def test_a_violated_sla_fails_the_job(namespace: Namespace) -> None:
    namespace.apply(job())
    pod = namespace.pod()
    namespace.run_pod(pod)
    namespace.end_pod(pod, message=summary("Fail", sentence="1 limit is broken: latency is 30ms, limit at most 20ms"))
    status = phase_is(namespace, "Failed")
    assert status["verdict"] == "Fail"
    assert namespace.condition("minilm-int8", "Failed")["reason"] == "SLAViolated"
    assert "30ms" in status["message"]


@pytest.mark.parametrize(
    ("code", "why", "message", "reason"),
    [
        (2, "", violation("InvalidInput", "no such file", field="spec.model.source"), "InvalidInput"),
        (5, "", "", "BadRecipe"),
        (7, "", "", "DiskFull"),
        (137, "OOMKilled", "", "OutOfMemory"),
    ],
)
def test_permanent_failure_ends_the_job_at_once(
    namespace: Namespace, code: int, why: str, message: str, reason: str
) -> None:
    namespace.apply(job())
    pod = namespace.pod()
    namespace.run_pod(pod)
    namespace.end_pod(pod, code=code, reason=why, message=message)
    status = phase_is(namespace, "Failed")
    assert namespace.condition("minilm-int8", "Failed")["reason"] == reason
    assert status["retries"] == 0
    assert len(namespace.children()) == 1


def test_storage_failure_is_retried_and_counted(namespace: Namespace) -> None:
    namespace.apply(job(spec__retries=1))
    first = namespace.pod()
    namespace.run_pod(first)
    namespace.end_pod(first, code=4, message=violation("StorageUnavailable", "503 from the store"))
    wait_for("it is counted", lambda: namespace.status("minilm-int8").get("retries") == 1)
    second = namespace.pod(other_than=first)
    phase_is(namespace, "Pending")
    namespace.run_pod(second)
    phase_is(namespace, "Running")
    namespace.end_pod(second, code=4, message=violation("StorageUnavailable", "503 from the store"))
    status = phase_is(namespace, "Failed")
    assert status["retries"] == 1
    assert namespace.condition("minilm-int8", "Failed")["reason"] == "StorageUnavailable"
    assert "2 attempts failed; the last: 503 from the store" in status["message"]
    wait_for("the Event is recorded", lambda: "Retrying" in namespace.event_reasons())


def test_preemption_does_not_count(namespace: Namespace) -> None:
    namespace.apply(job(spec__retries=0))
    first = namespace.pod()
    namespace.run_pod(first)
    phase_is(namespace, "Running")
    disruption = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "PreemptionByScheduler",
        "message": "more urgent",
    }
    namespace.set_pod(first, conditions=[{"type": "PodScheduled", "status": "True"}, disruption])
    namespace.end_pod(first, code=143)
    second = namespace.pod(other_than=first)
    assert phase_is(namespace, "Pending")["retries"] == 0
    namespace.run_pod(second)
    namespace.end_pod(second, message=summary("Pass"))
    phase_is(namespace, "Succeeded")


def test_the_scheduler_and_the_kubelet_are_quoted(namespace: Namespace) -> None:
    namespace.apply(job())
    pod = namespace.pod()
    no_gpu = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": no_gpu}
    namespace.set_pod(pod, conditions=[unschedulable])
    wait_for(
        "it is said", lambda: no_gpu.rstrip(".") in namespace.condition("minilm-int8", "Scheduled").get("message", "")
    )
    assert namespace.status("minilm-int8")["phase"] == "Pending"
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "s3" not found'}}
    containers = [{"name": "runner", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": waiting}]
    scheduled = {"type": "PodScheduled", "status": "True"}
    namespace.set_pod(pod, conditions=[scheduled], containerStatuses=containers)
    wait_for("it is said", lambda: 'secret "s3" not found' in namespace.status("minilm-int8")["message"])
    assert namespace.condition("minilm-int8", "Scheduled")["reason"] == "ContainerConfigError"


def test_the_deadline_ends_the_job(namespace: Namespace) -> None:
    namespace.apply(job(spec__deadline="2s"))
    namespace.run_pod(namespace.pod())
    phase_is(namespace, "Failed")
    assert namespace.condition("minilm-int8", "Failed")["reason"] == "DeadlineExceeded"


def test_suspend_and_resume(namespace: Namespace) -> None:
    namespace.apply(job())
    first = namespace.pod()
    namespace.run_pod(first)
    phase_is(namespace, "Running")
    namespace.api.patch(namespace.path("cpj", "minilm-int8"), {"spec": {"suspend": True}})
    phase_is(namespace, "Suspended")
    assert not namespace.pods()
    namespace.api.patch(namespace.path("cpj", "minilm-int8"), {"spec": {"suspend": False}})
    second = namespace.pod()
    assert second != first
    phase_is(namespace, "Pending")
    assert namespace.condition("minilm-int8", "Suspended")["reason"] == "Resumed"
    namespace.run_pod(second)
    phase_is(namespace, "Running")
    namespace.end_pod(second, message=summary("Pass"))
    assert phase_is(namespace, "Succeeded")["retries"] == 0


def test_deleting_a_running_job_removes_its_child_and_pods(namespace: Namespace) -> None:
    namespace.apply(job())
    namespace.run_pod(namespace.pod())
    phase_is(namespace, "Running")
    namespace.api.send("DELETE", namespace.path("cpj", "minilm-int8"))
    wait_for("nothing is left", lambda: not namespace.children() and not namespace.pods())
    assert namespace.job("minilm-int8") is None


def test_deleted_child_is_replaced_and_its_retries_still_count(namespace: Namespace) -> None:
    namespace.apply(job(spec__retries=2))
    lost = namespace.child()
    wait_for("it is known", lambda: namespace.status("minilm-int8").get("childJob"))
    namespace.api.send("DELETE", namespace.path("jobs", lost["metadata"]["name"]), {"propagationPolicy": "Background"})
    wait_for("another", lambda: namespace.status("minilm-int8")["childJob"]["uid"] != lost["metadata"]["uid"])
    assert namespace.child()["spec"]["backoffLimit"] == 1
    status = wait_for("it counts", lambda: s if (s := namespace.status("minilm-int8")).get("retries") == 1 else None)
    assert status["childrenCreated"] == 2
    wait_for("the Event is recorded", lambda: "Recreated" in namespace.event_reasons())


def test_a_finished_jobs_child_is_not_created_again(namespace: Namespace) -> None:
    namespace.apply(job())
    pod = namespace.pod()
    namespace.run_pod(pod)
    namespace.end_pod(pod, message=summary("Pass"))
    before = phase_is(namespace, "Succeeded")
    child = namespace.child()["metadata"]["name"]
    namespace.api.send("DELETE", namespace.path("jobs", child), {"propagationPolicy": "Background"})
    wait_for("the child is gone", lambda: not namespace.children())
    # Another job's child shows that the operator has seen all this.
    namespace.apply(job(name="later"))
    assert namespace.child()["metadata"]["name"].startswith("later-")
    assert namespace.status("minilm-int8") == before


def test_an_invalid_job_never_gets_a_pod(namespace: Namespace) -> None:
    namespace.apply(job(spec__model__source="file:///etc"))
    phase_is(namespace, "Failed")
    accepted = namespace.condition("minilm-int8", "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidSpec")
    assert "spec.model.source" in accepted["message"]
    assert not namespace.children()
    assert not namespace.pods()


def test_a_job_waits_for_its_runtime(namespace: Namespace, api: Api) -> None:
    namespace.apply(job(spec__runtime="later"))
    wait_for("it says so", lambda: namespace.condition("minilm-int8", "Accepted").get("reason") == "RuntimeNotFound")
    assert not namespace.children()
    api.send("POST", f"{GROUP}/compressionruntimes", runtime("later"))
    namespace.child()
    wait_for("accepted", lambda: namespace.condition("minilm-int8", "Accepted")["status"] == "True")


def test_refused_child_is_reported_and_created_when_possible(namespace: Namespace, api: Api) -> None:
    more_than_the_limit = {"requests": {"memory": "4Gi"}, "limits": {"memory": "2Gi"}}
    api.send("POST", f"{GROUP}/compressionruntimes", runtime("impossible", resources=more_than_the_limit))
    namespace.apply(job(spec__runtime="impossible"))
    wait_for(
        "it says so",
        lambda: "must be less than or equal to memory limit" in namespace.status("minilm-int8").get("message", ""),
    )
    assert namespace.condition("minilm-int8", "Accepted")["reason"] == "InvalidRuntime"
    api.patch(f"{GROUP}/compressionruntimes/impossible", {"spec": {"resources": {"requests": {"memory": "1Gi"}}}})
    namespace.child()


def test_foreign_job_with_the_childs_name_is_not_touched(namespace: Namespace) -> None:
    created = namespace.apply(job(spec__runtime="not-yet"))
    name = f"minilm-int8-{created['metadata']['uid'][:8]}"
    pod = {"restartPolicy": "Never", "containers": [{"name": "x", "image": "x"}]}
    foreign = {"metadata": {"name": name}, "spec": {"suspend": True, "template": {"spec": pod}}}
    namespace.api.send("POST", namespace.path("jobs"), foreign)
    namespace.api.send("POST", f"{GROUP}/compressionruntimes", runtime("not-yet"))
    phase_is(namespace, "Failed")
    assert namespace.condition("minilm-int8", "Failed")["reason"] == "ChildConflict"
    assert "ownerReferences" not in namespace.child()["metadata"]


def test_a_queued_job_is_suspended_for_its_queue(namespace: Namespace) -> None:
    manifest = job()
    manifest["metadata"]["labels"] = {"kueue.x-k8s.io/queue-name": "team-a"}
    namespace.apply(manifest)
    child = namespace.child()
    assert child["spec"]["suspend"] is True
    assert child["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    wait_for("queued", lambda: namespace.condition("minilm-int8", "Scheduled").get("reason") == "Queued")
    namespace.api.patch(namespace.path("jobs", child["metadata"]["name"]), {"spec": {"suspend": False}})
    namespace.run_pod(namespace.pod())
    phase_is(namespace, "Running")


def test_missing_summary_fails_the_job(namespace: Namespace) -> None:
    namespace.apply(job(spec__retries=0))
    pod = namespace.pod()
    namespace.run_pod(pod)
    namespace.end_pod(pod, message="")
    phase_is(namespace, "Failed")
    assert namespace.condition("minilm-int8", "Failed")["reason"] == "SummaryMissing"


def test_the_pods_pass_the_restricted_standard(namespace: Namespace, api: Api) -> None:
    enforce = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.patch(f"/api/v1/namespaces/{namespace.name}", {"metadata": {"labels": enforce}})
    plain = {"metadata": {"name": "plain"}, "spec": {"containers": [{"name": "x", "image": "x"}]}}

    def refused() -> bool:
        try:
            api.send("POST", f"{namespace.path('pods')}?dryRun=All", plain)
        except Refusal as refusal:
            return "violates PodSecurity" in str(refusal)
        return False

    # The admission plugin sees the label of the namespace a moment later.
    wait_for("other pods are refused", refused)
    namespace.apply(job(spec__model__source="pvc://models/minilm"))
    assert namespace.pod()


def test_a_job_without_its_spec_is_refused_by_the_server(namespace: Namespace) -> None:
    with pytest.raises(Refusal, match="spec"):
        namespace.apply(job(spec=REMOVE))
