"""Interrupted jobs resume from their checkpoints, and completed stages do not run again."""

import json
from collections.abc import Callable
from typing import Any

from tests.e2e.harness import Job, Namespace, wait_for
from tests.e2e.jobs import BUCKET, at_checkpoint, minilm_job, objects, staged_job, stages, text_job

Submit = Callable[[dict[str, Any]], Job]


def assert_published(store: Any, name: str) -> None:
    assert f"results/{name}/artifact.json" in objects(store, f"results/{name}/")


def test_a_deleted_pod_is_replaced_and_no_stage_runs_twice(submit: Submit, store: Any) -> None:
    job = submit(minilm_job("deleted-pod"))
    pod = job.running_pod()
    at_checkpoint(store, job, 5)  # the baseline, prune, export, quantize, pack: then the measurement starts
    job.namespace("delete", "pod", pod, "--wait=false")
    job.wait_phase("Succeeded")
    assert all(stages(store, "deleted-pod").values()), stages(store, "deleted-pod")
    (child,) = job.children()
    assert child["status"]["succeeded"] == 1
    assert_published(store, "deleted-pod")


def test_training_resumes_after_its_pod_was_deleted(submit: Submit, store: Any) -> None:
    training = {"epochs": 25, "batchSize": 16, "learningRate": "0.001", "checkpointEvery": 100}
    manifest = text_job(
        "trained",
        spec__data={
            "evaluation": {"source": f"s3://{BUCKET}/sentences.parquet", "limit": 60},
            "training": {"source": f"s3://{BUCKET}/training.parquet"},
        },
        spec__pipeline=[{"prune": {"sparsity": "0.5"}}, {"distill": {"training": training}}],
        spec__sla={"quality": {"metric": "cosine", "maxDrop": "0.9"}},
    )
    job = submit(manifest)
    pod = job.running_pod()
    prefix = "results/trained-checkpoints/"

    def kept() -> set[str]:
        assert job.status.get("phase") not in ("Succeeded", "Failed"), f"too late:\n{job.diagnosis()}"
        return {key for key in objects(store, prefix) if key.endswith("-progress/index.json")}

    wait_for("training has kept its state", kept, 180, pause=0.3)
    job.namespace("delete", "pod", pod, "--wait=false", "--grace-period=1")
    job.wait_phase("Succeeded")
    body = store.get_object(Bucket=BUCKET, Key="results/trained-report/report.json")["Body"].read()
    reported = {stage["name"]: stage for stage in json.loads(body)["stages"]}
    assert reported["prune"]["reused"]
    assert reported["distill"]["details"]["resumedAtStep"] >= 100
    assert reported["distill"]["details"]["steps"] > reported["distill"]["details"]["resumedAtStep"]
    assert not [key for key in objects(store, prefix) if "-progress/" in key], "what was kept on the way is gone"


def test_a_drained_node_does_not_count_as_a_failure(submit: Submit, store: Any, namespace: Namespace) -> None:
    job = submit(staged_job("drained", spec__retries=0))
    job.running_pod()
    at_checkpoint(store, job, 2)
    (node,) = namespace.items("nodes")
    name = node["metadata"]["name"]
    try:
        namespace.kubectl.run(
            "drain", name, "--pod-selector=compression-operator.io/job", "--ignore-daemonsets",
            "--delete-emptydir-data", "--timeout=60s",
        )  # fmt: skip
        job.wait_condition("Scheduled", "False", "Unschedulable")
    finally:
        namespace.kubectl.run("uncordon", name)
    status = job.wait_phase("Succeeded")
    assert status.get("retries", 0) == 0
    assert stages(store, "drained")["prune"], "its checkpoint was there before the drain"


def test_suspend_removes_the_pod_and_resume_continues(submit: Submit, store: Any) -> None:
    job = submit(staged_job("suspended"))
    job.running_pod()
    at_checkpoint(store, job, 2)
    job.namespace("patch", "cpj", "suspended", "--type=merge", '--patch={"spec":{"suspend":true}}')
    job.wait_phase("Suspended", seconds=60)
    wait_for("its pods are gone", lambda: not [p for p in job.pods() if p["status"]["phase"] == "Running"], 60)
    assert job.condition("Suspended")["status"] == "True"
    job.namespace("patch", "cpj", "suspended", "--type=merge", '--patch={"spec":{"suspend":false}}')
    status = job.wait_phase("Succeeded")
    assert status.get("retries", 0) == 0
    assert stages(store, "suspended")["prune"], "its checkpoint was there before the pause"
    assert len(job.children()) == 1


def test_a_killed_operator_changes_nothing(submit: Submit, store: Any, namespace: Namespace) -> None:
    job = submit(staged_job("operator-killed"))
    job.running_pod()
    before = job.status
    kill_operator(namespace)
    status = job.wait_phase("Succeeded")
    assert len(job.children()) == 1
    assert status["startTime"] == before["startTime"]
    assert not any(stages(store, "operator-killed").values()), "the pod was never disturbed"
    wait_for("the operator is back", lambda: ready_operators(namespace), 120)


def test_deleting_a_running_job_leaves_nothing(submit: Submit, store: Any) -> None:
    job = submit(minilm_job("unwanted"))
    job.running_pod()
    job.namespace("delete", "cpj", "unwanted", "--wait", "--timeout=60s")
    wait_for("child and pods are gone", lambda: not job.children() and not job.pods(), 60)
    assert objects(store, "results/unwanted/") == set()


def test_a_deadline_ends_a_running_job(submit: Submit, store: Any) -> None:
    job = submit(minilm_job("late", spec__deadline="8s"))
    job.running_pod()
    job.wait_phase("Failed", seconds=90)
    failed = job.condition("Failed")
    assert failed["reason"] == "DeadlineExceeded"
    assert "8s" in failed["message"]
    wait_for("its pod is gone", lambda: not [p for p in job.pods() if p["status"]["phase"] == "Running"], 60)
    assert objects(store, "results/late/") == set()


def test_a_finished_job_is_deleted_after_its_ttl(submit: Submit, namespace: Namespace) -> None:
    job = submit(minilm_job("short-lived", spec__deadline="5s", spec__ttl="5s"))
    job.wait_phase("Failed", seconds=60)
    gone = "CompressionJob, child and pods are gone"
    names = ("cpj", "jobs.batch", "pods")
    wait_for(gone, lambda: not any("short-lived" in namespace("get", kind, "-o", "name") for kind in names), 120)


def kill_operator(namespace: Namespace) -> None:
    namespace.kubectl.run(
        "--namespace", "compression-system", "delete", "pod", "-l", "app.kubernetes.io/name=compression-operator",
        "--grace-period=0", "--force", "--wait=false",
    )  # fmt: skip


def ready_operators(namespace: Namespace) -> int:
    deployment = namespace.kubectl.read("--namespace", "compression-system", "get", "deployments")["items"][0]
    return int(deployment["status"].get("readyReplicas", 0))
