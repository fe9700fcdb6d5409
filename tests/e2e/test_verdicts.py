"""Jobs from kubectl apply to their end: success, violated SLA, invalid inputs."""

import json
from collections.abc import Callable
from typing import Any

from compressionjob.report import Report
from tests.e2e.harness import Job, Namespace, wait_for
from tests.e2e.jobs import BUCKET, objects, tiny_job

Submit = Callable[[dict[str, Any]], Job]


def test_a_job_that_keeps_its_limits_is_published(submit: Submit, store: Any) -> None:
    job = submit(tiny_job("success"))
    status = job.wait_phase("Succeeded")
    assert status["verdict"] == "Pass"
    assert status["confidence"] == "0.95"
    assert status["progress"] == 100
    assert {item["name"]: item["verdict"] for item in status["objectives"]} == {
        "quality.drop": "Pass",
        "latency": "Pass",
    }
    assert job.condition("Complete")["status"] == "True"
    assert job.condition("SLASatisfied")["status"] == "True"
    assert job.condition("Complete")["observedGeneration"] == job.resource["metadata"]["generation"]
    prefix = "results/success"
    manifest = json.loads(store.get_object(Bucket=BUCKET, Key=f"{prefix}/artifact.json")["Body"].read())
    assert {f"{prefix}/{file['path']}" for file in manifest["files"]} | {f"{prefix}/artifact.json"} == objects(
        store, f"{prefix}/"
    )
    report = Report.model_validate_json(
        store.get_object(Bucket=BUCKET, Key=f"{prefix}-report/report.json")["Body"].read()
    )
    assert report.verdict == "Pass"
    assert f"{report.compressed.size_bytes / report.baseline.size_bytes:.4g}" == status["sizeRatio"]
    page = store.get_object(Bucket=BUCKET, Key=f"{prefix}-report/report.html")["Body"].read().decode()
    assert "<svg" in page
    wait_for("events tell the story", lambda: {"Completed"} <= job.events() or None, 20)
    header, line = job.namespace("get", "cpj", "success").splitlines()
    assert header.split()[-2:] == ["VERDICT", "AGE"]
    assert "Pass" in line.split()


def test_kubectl_wait_sees_the_end(submit: Submit) -> None:
    job = submit(tiny_job("awaited"))
    job.namespace.kubectl.run(
        "--namespace", job.namespace.name, "wait", "--for=condition=Complete", "cpj/awaited", "--timeout=240s",
        timeout=260,
    )  # fmt: skip
    assert job.status["phase"] == "Succeeded"


def test_a_violated_limit_publishes_nothing_and_keeps_the_report(submit: Submit, store: Any) -> None:
    job = submit(tiny_job("violated", spec__sla={"size": {"maxRatio": "0.001"}}))
    status = job.wait_phase("Failed")
    assert status["verdict"] == "Fail"
    failed = job.condition("Failed")
    assert failed["reason"] == "SLAViolated"
    assert "size.ratio" in failed["message"]
    assert objects(store, "results/violated/") == set()
    assert objects(store, "results/violated-report/") == {
        "results/violated-report/report.json",
        "results/violated-report/report.html",
        "results/violated-report/report.md",
    }


def test_alert_publishes_and_marks(submit: Submit, store: Any) -> None:
    job = submit(tiny_job("alert", spec__sla={"size": {"maxRatio": "0.001"}, "onViolation": "Alert"}))
    job.wait_phase("Succeeded")
    assert job.condition("SLASatisfied")["status"] == "False"
    assert job.condition("Complete")["reason"] == "PublishedDespiteViolation"
    assert "results/alert/artifact.json" in objects(store, "results/alert/")


def test_a_model_that_does_not_fit_its_task_is_said_in_seconds(submit: Submit) -> None:
    job = submit(tiny_job("wrong-task", spec__model__task="text-classification", spec__sla={"size": {"max": "1Gi"}}))
    job.wait_phase("Failed")
    failed = job.condition("Failed")
    assert failed["reason"] == "InvalidInput"
    assert "spec.model.task" in failed["message"]
    (child,) = job.children()
    assert child["status"].get("failed") == 1, "an invalid input is not tried again"


def test_a_nonsense_pipeline_never_gets_a_pod(submit: Submit) -> None:
    job = submit(tiny_job("nonsense", spec__pipeline=[{"pack": {}}, {"quantize": {}}]))
    job.wait_phase("Failed", seconds=30)
    accepted = job.condition("Accepted")
    assert accepted["status"] == "False"
    assert "spec.pipeline[1].quantize" in accepted["message"]
    assert job.children() == []
    assert job.pods() == []


def test_a_job_cannot_reach_the_host(submit: Submit, namespace: Namespace) -> None:
    job = submit(tiny_job("host", spec__model__source="file:///etc"))
    job.wait_phase("Failed", seconds=30)
    assert "spec.model.source" in job.condition("Accepted")["message"]
    assert job.pods() == []


def test_pods_are_restricted(submit: Submit) -> None:
    job = submit(tiny_job("restricted"))
    job.running_pod()
    (pod,) = job.pods()
    assert pod["spec"]["automountServiceAccountToken"] is False
    mounts = [m["mountPath"] for m in pod["spec"]["containers"][0]["volumeMounts"]]
    assert not [path for path in mounts if path.startswith("/var/run/secrets/kubernetes.io")]
    context = pod["spec"]["containers"][0]["securityContext"]
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert not [volume for volume in pod["spec"]["volumes"] if "hostPath" in volume]
