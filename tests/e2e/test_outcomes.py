"""Results of jobs. All jobs are applied together, and checked after their end."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from compressionjob.report import Report
from demo.installation import upload
from localcluster.errors import LocalClusterError
from tests.e2e.harness import HANGS, Job, Namespace, wait_for
from tests.e2e.jobs import BUCKET, minilm_job, objects, text_job, tiny_job
from tests.support import tiny_models

Jobs = Mapping[str, Job]
TOO_SMALL: dict[str, Any] = {"size": {"maxRatio": "0.001"}}
BROKEN = {
    "wrong-key": ("InvalidInput", "spec.model.source"),
    "no-model": ("InvalidInput", "spec.model.source"),
    "truncated": ("InvalidInput", "model.safetensors"),
    "changed": ("InvalidInput", "model.safetensors"),
    "pickle": ("InvalidInput", "safetensors"),
    "no-server": ("StorageUnavailable", "127.0.0.1:1"),
}
"""Jobs with broken sources and stores -> expected reason and part of the message."""


def broken_job(name: str) -> dict[str, Any]:
    job = text_job(f"broken-{name}", spec__retries=0)
    if name == "wrong-key":
        job["spec"]["storage"]["secretName"] = "wrong"
    elif name == "no-server":
        job["spec"]["storage"]["endpoint"] = "http://127.0.0.1:1"
    else:
        job["spec"]["model"]["source"] = f"s3://{BUCKET}/broken/{name}"
    return job


MANIFESTS = [
    tiny_job("success"),
    tiny_job("awaited"),
    tiny_job("violated", spec__sla=TOO_SMALL),
    tiny_job("alert", spec__sla=TOO_SMALL | {"onViolation": "Alert"}),
    text_job("wrong-task", spec__model__task="text-classification", spec__sla={"size": {"max": "1Gi"}}),
    text_job("nonsense", spec__data__evaluation__columns={"textPair": "passage"}),
    tiny_job("host", spec__model__source="file:///etc"),
    tiny_job("no-secret", spec__storage={"secretName": "absent", "endpoint": "http://10.244.0.1:7070"}),
    minilm_job("hungry", spec__runtime="small"),
    *(broken_job(name) for name in BROKEN),
]


@pytest.fixture(scope="module")
def broken(store: Any, namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Write broken models, and create a Secret with a wrong key."""
    folder = tmp_path_factory.mktemp("broken")
    for name in ("truncated", "changed", "pickle"):
        tiny_models.bert(folder / name)
    weights = folder / "truncated" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    (folder / "changed" / "SHA256SUMS").write_text(f"{'0' * 64}  model.safetensors\n")
    (folder / "pickle" / "model.safetensors").rename(folder / "pickle" / "pytorch_model.bin")
    for name in ("truncated", "changed", "pickle"):
        upload(store, folder / name, BUCKET, f"broken/{name}")
    secret = {
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "wrong"},
        "stringData": {"AWS_ACCESS_KEY_ID": "unknown", "AWS_SECRET_ACCESS_KEY": "wrong"},
    }  # fmt: skip
    namespace.apply(secret)


@pytest.fixture(scope="module")
def small_runtime(namespace: Namespace) -> Iterator[None]:
    """Create a runtime with more memory than the forecast requires, but too little for the export of MiniLM."""
    runtime = namespace.kubectl.read("get", "cprt", "cpu-shared")
    spec = runtime["spec"]
    spec["resources"] = {"requests": {"memory": "950Mi"}, "limits": {"memory": "950Mi"}}
    manifest = {key: runtime[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": "small"}, "spec": spec}
    namespace.apply(manifest)
    yield
    namespace.kubectl.run("delete", "cprt", "small")


@pytest.fixture(scope="module")
def jobs(broken: None, small_runtime: None, namespace: Namespace) -> Iterator[Jobs]:
    """Apply all MANIFESTS at once. The scheduler limits the number of running pods."""
    namespace.apply({"apiVersion": "v1", "kind": "List", "items": MANIFESTS})
    applied = {manifest["metadata"]["name"]: Job(namespace, manifest["metadata"]["name"]) for manifest in MANIFESTS}
    yield applied
    namespace("delete", "cpj", *applied, "--ignore-not-found", "--wait=false")


def test_a_job_that_keeps_its_limits_is_published(jobs: Jobs, store: Any) -> None:
    job = jobs["success"]
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
    wait_for("its Events", lambda: {"Completed"} <= job.events() or None, 20)
    header, line = job.namespace("get", "cpj", "success").splitlines()
    assert header.split()[-2:] == ["VERDICT", "AGE"]
    assert "Pass" in line.split()


def test_kubectl_wait_returns_when_the_job_ends(jobs: Jobs) -> None:
    job = jobs["awaited"]
    job.namespace.kubectl.run(
        "--namespace", job.namespace.name, "wait", "--for=condition=Complete", "cpj/awaited", f"--timeout={HANGS}s",
        timeout=HANGS + 20,
    )  # fmt: skip
    assert job.status["phase"] == "Succeeded"


def test_a_violated_limit_publishes_nothing_and_keeps_the_report(jobs: Jobs, store: Any) -> None:
    job = jobs["violated"]
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


def test_on_violation_alert_publishes_and_marks_the_model(jobs: Jobs, store: Any) -> None:
    job = jobs["alert"]
    job.wait_phase("Succeeded")
    assert job.condition("SLASatisfied")["status"] == "False"
    assert job.condition("Complete")["reason"] == "PublishedDespiteViolation"
    assert "results/alert/artifact.json" in objects(store, "results/alert/")


def test_a_model_that_does_not_fit_its_task_fails_without_retry(jobs: Jobs) -> None:
    job = jobs["wrong-task"]
    job.wait_phase("Failed")
    failed = job.condition("Failed")
    assert failed["reason"] == "InvalidInput"
    assert "spec.model.task" in failed["message"]
    (child,) = job.children()
    assert child["status"].get("failed") == 1, "an invalid input is not tried again"


def test_an_invalid_pipeline_is_refused_by_the_api_server(namespace: Namespace) -> None:
    with pytest.raises(LocalClusterError, match=r"spec\.pipeline: .*make pack the last stage"):
        namespace.apply(tiny_job("refused", spec__pipeline=[{"pack": {}}, {"quantize": {}}]))


def test_a_job_that_the_operator_refuses_gets_no_pod(jobs: Jobs) -> None:
    job = jobs["nonsense"]
    job.wait_phase("Failed", seconds=30)
    accepted = job.condition("Accepted")
    assert accepted["status"] == "False"
    assert "spec.data.evaluation.columns.textPair" in accepted["message"]
    assert job.children() == []
    assert job.pods() == []


def test_a_job_cannot_reach_the_host(jobs: Jobs) -> None:
    job = jobs["host"]
    job.wait_phase("Failed", seconds=30)
    assert "spec.model.source" in job.condition("Accepted")["message"]
    assert job.pods() == []


def test_a_missing_secret_is_reported_with_the_kubelets_message(jobs: Jobs) -> None:
    job = jobs["no-secret"]
    # A busy kubelet first reports that its cache of Secrets is not ready; its later message must replace that.
    job.wait_condition("Scheduled", "True", "ContainerConfigError", says='secret "absent" not found')
    assert job.status["phase"] == "Pending"


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_source_or_store_is_reported_and_nothing_is_partly_published(
    jobs: Jobs, store: Any, name: str
) -> None:
    reason, says = BROKEN[name]
    job = jobs[f"broken-{name}"]
    job.wait_phase("Failed")
    failed = job.condition("Failed")
    assert failed["reason"] == reason, json.dumps(failed)
    assert says in failed["message"], failed["message"]
    assert objects(store, f"results/broken-{name}/") == set()


def test_out_of_memory_is_reported_with_the_limit_and_not_retried(jobs: Jobs) -> None:
    job = jobs["hungry"]
    job.wait_phase("Failed")
    failed = job.condition("Failed")
    assert failed["reason"] == "OutOfMemory"
    assert "950Mi" in failed["message"]
    (pod,) = job.pods()
    terminated = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert terminated["reason"] == "OOMKilled"
    assert terminated["exitCode"] == 137
