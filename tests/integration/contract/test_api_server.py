"""The CRDs on a real API server: valid examples, invalid jobs, and immutable fields."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from compressionjob.crd import definitions
from compressionjob.mutability import MUTABLE_FIELDS, may_change
from compressionjob.objectives import DIVERGENCES, ERROR_METRICS
from compressionjob.spec import parse_job
from compressionjob.tasks import TASKS
from localcluster import apiserver
from localcluster.errors import LocalClusterError
from localcluster.kubectl import Kubectl
from tests.support.manifests import REMOVE, invalid_jobs, job, set_field
from tests.support.messages import of_server, record_responses

EXAMPLES = [
    manifest
    for path in sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text())
    if "file://" not in path.read_text()  # local runs only
]
REFUSED = [case for case in invalid_jobs() if case["refusedBy"] == "server"]
LEFT_TO_THE_OPERATOR = [case for case in invalid_jobs() if case["refusedBy"] == "operator"]


@pytest.fixture(scope="module")
def kubectl() -> Iterator[Kubectl]:
    with apiserver.start() as server:
        server.kubectl.apply(*definitions().values())
        server.kubectl.wait_for_crds()
        yield server.kubectl


def create(kubectl: Kubectl, manifest: dict[str, Any], *arguments: str) -> str:
    return kubectl.run("apply", "--validate=strict", *arguments, "--filename=-", stdin=json.dumps(manifest))


def refusal(kubectl: Kubectl, manifest: dict[str, Any], *arguments: str) -> str:
    with pytest.raises(LocalClusterError) as caught:
        create(kubectl, manifest, *arguments)
    return str(caught.value)


@pytest.mark.parametrize("manifest", EXAMPLES, ids=[item["metadata"]["name"] for item in EXAMPLES])
def test_an_example_is_accepted(kubectl: Kubectl, manifest: dict[str, Any]) -> None:
    assert "created" in create(kubectl, manifest, "--dry-run=server")


@pytest.mark.parametrize("case", REFUSED, ids=[case["name"] for case in REFUSED])
def test_an_invalid_job_is_refused(kubectl: Kubectl, case: dict[str, Any]) -> None:
    message = refusal(kubectl, case["manifest"], "--dry-run=server")
    assert case.get("serverField", case["field"]) in message
    assert case.get("serverSays", case["says"]) in message


def test_no_rule_refuses_a_job_that_python_accepts(kubectl: Kubectl) -> None:
    jobs = [*measured_jobs(), *staged_jobs()]
    for number, manifest in enumerate(jobs):
        manifest["metadata"]["name"] = f"valid-{number}"
        parse_job(manifest)
    assert len(jobs) > 60
    listed = {"apiVersion": "v1", "kind": "List", "items": jobs}
    assert create(kubectl, listed, "--dry-run=server").count("created") == len(jobs)


def measured_jobs() -> Iterator[dict[str, Any]]:
    """Yield a job for each task and each of its metrics."""
    for task, traits in TASKS.items():
        for metric in (None, *traits.metrics):
            names = [metric] if metric else list(traits.defaults)
            limit = "maxIncrease" if names[0] in ERROR_METRICS - DIVERGENCES else "maxDrop"
            limit = "max" if names[0] in DIVERGENCES else limit
            quality = {limit: "0.01"} | ({"metric": metric} if metric else {})
            yield job(spec__model__task=task, spec__sla={"quality": quality})
    yield job(spec__model__task="image-classification", spec__sla={"flips": {"max": "0.1"}})
    for load in ({"requestRate": "2", "outputTokens": 8}, {"concurrency": 4, "maxOutputTokens": 8, "promptTokens": 9}):
        limits = {"ttft": {"max": "1s"}, "interToken": {"maxRatio": "2"}, "goodput": {"min": "1"}}
        yield job(
            spec__model__task="text-generation",
            spec__pipeline=[{"prune": {"sparsity": "0.5"}}],
            spec__benchmark={"engine": "vllm", "serving": load},
            spec__sla=limits | ({"outputLength": {"minRatio": "0.9"}} if "maxOutputTokens" in load else {}),
        )


def staged_jobs() -> Iterator[dict[str, Any]]:
    """Yield a job for each kind of stage, with only the data that it needs."""
    learned = {"evaluation": {"source": "s3://data/e.parquet"}, "training": {"source": "s3://data/t.parquet"}}
    observed = {"evaluation": {"source": "s3://data/e.parquet"}, "calibration": {"source": "s3://data/c.parquet"}}
    for stage in (
        {"distill": {}}, {"prune": {"sparsity": "0.5"}}, {"quantize": {"method": "qat", "dtype": "int4"}},
    ):  # fmt: skip
        yield job(spec__data=learned, spec__pipeline=[stage])
    for stage in (
        {"prune": {"method": "wanda", "sparsity": "0.5"}},
        {"factorize": {"rank": 8, "activationAware": True}},
        {"quantize": {"method": "static"}},
        {"quantize": {"method": "weight-only", "dtype": "int4", "algorithm": "gptq"}},
    ):
        yield job(spec__data=observed, spec__pipeline=[stage])
    for stages in (
        [{"pack": {}}],
        [{"quantize": {}}, {"pack": {}}],
        [{"factorize": {"rank": 8}}, {"quantize": {"method": "cast", "dtype": "float16"}}],
        [{"name": "a", "prune": {"sparsity": "0.5"}}, {"name": "b", "prune": {"sparsity": "0.6"}}, {"quantize": {}}],
    ):
        yield job(spec__pipeline=stages)
    choices = {"name": "arc", "source": "s3://data/arc.jsonl", "kind": "multiple-choice", "metric": "acc"}
    written = {"name": "sums", "source": "s3://data/sums.jsonl", "kind": "generation", "generation": {"maxTokens": 8}}
    yield job(
        spec__model__task="text-generation",
        spec__data__tasks=[choices, written],
        spec__sla={"recovery": {"min": "0.99", "tasks": ["arc"]}},
    )
    yield job(spec__review="Always", spec__reviewTimeout="1h", spec__sla__onViolation="Fallback")
    yield job(spec__model__source="s3://models/minilm", spec__output__destination="s3://models/minilm-small")
    yield job(spec__output__format="torch-export", spec__pipeline=[{"prune": {"sparsity": "0.5"}}])


@pytest.mark.parametrize("case", LEFT_TO_THE_OPERATOR, ids=[case["name"] for case in LEFT_TO_THE_OPERATOR])
def test_jobs_that_only_the_operator_refuses_can_be_created(kubectl: Kubectl, case: dict[str, Any]) -> None:
    assert "created" in create(kubectl, case["manifest"], "--dry-run=server")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("spec.model.source", "s3://models/other"),
        ("spec.storage.endpoint", "http://other:1"),
        ("spec.storage", REMOVE),
        ("spec.data.evaluation.limit", 5),
        ("spec.pipeline[0].prune.sparsity", "0.9"),
        ("spec.sla.size.maxRatio", "0.9"),
        ("spec.sla.latency", REMOVE),
        ("spec.benchmark", {"threads": 3}),
        ("spec.output.destination", "s3://models/elsewhere"),
        ("spec.runtime", "gpu"),
        ("spec.deadline", "9h"),
        ("spec.retries", 9),
    ],
)
def test_the_spec_cannot_change(kubectl: Kubectl, field: str, value: object) -> None:
    manifest = job("immutable")
    create(kubectl, manifest)
    changed = copy.deepcopy(manifest)
    set_field(changed, field, value)
    assert "delete the job and create another" in refusal(kubectl, changed)


def test_only_suspend_ttl_and_notifications_may_change(kubectl: Kubectl) -> None:
    manifest = job("mutable")
    create(kubectl, manifest)
    changed = job("mutable", spec__suspend=True, spec__ttl="1h", spec__notifications=["ops"])
    create(kubectl, changed)
    assert kubectl.read("get", "cpj", "mutable")["spec"]["ttl"] == "1h"
    create(kubectl, job("mutable", spec__suspend=False))
    assert {"suspend", "ttl", "notifications"} == MUTABLE_FIELDS


@pytest.mark.parametrize(
    ("field", "before", "after", "allowed"),
    [
        ("deadline", "90m", "1h30m", True),
        ("deadline", "1h", "2h", True),
        ("deadline", "59m60s", "1h1us", True),
        ("deadline", "2h", "119m", False),
        ("deadline", "1h", "", True),
        ("deadline", "", "1h", False),
        ("budget", "10", "10.5", True),
        ("budget", "9.5", "10", True),
        ("budget", 2, 10, True),
        ("budget", "10", "9.99", False),
        ("budget", 10, 2, False),
        ("budget", "10", "", True),
        ("budget", "", "10", False),
        ("ttl", "2h", "1h", True),
    ],
)
def test_deadline_and_budget_can_be_raised_or_removed_but_not_lowered(
    kubectl: Kubectl, field: str, before: object, after: object, allowed: bool
) -> None:
    create(kubectl, job("raised", **({f"spec__{field}": before} if before else {})))
    try:
        changed = job("raised", **({f"spec__{field}": after} if after else {}))
        if allowed:
            create(kubectl, changed)
            assert kubectl.read("get", "cpj", "raised")["spec"].get(field, "") == after
        else:
            message = refusal(kubectl, changed)
            assert f"spec.{field}" in message
            assert f"{field} can only be raised or removed" in message
        assert may_change(field, str(before), str(after)) == allowed
    finally:
        kubectl.run("delete", "cpj", "raised")


def test_jobs_are_selected_by_phase_and_runtime(kubectl: Kubectl) -> None:
    for name, runtime, phase in (("one", "cpu", "Running"), ("two", "gpu", "Running"), ("three", "gpu", "Failed")):
        create(kubectl, job(name, spec__runtime=runtime))
        patch = json.dumps({"status": {"phase": phase}})
        kubectl.run("patch", "cpj", name, "--subresource=status", "--type=merge", f"--patch={patch}")

    def names(selector: str) -> set[str]:
        return set(kubectl.run("get", "cpj", "--output=name", f"--field-selector={selector}").split())

    group = "compressionjob.compression-operator.io"
    assert names("status.phase=Running") == {f"{group}/one", f"{group}/two"}
    assert names("status.phase=Running,spec.runtime=gpu") == {f"{group}/two"}
    with pytest.raises(LocalClusterError, match="field label not supported"):
        names("spec.deadline=1h")


def test_there_is_one_condition_of_each_type(kubectl: Kubectl) -> None:
    create(kubectl, job("conditions"))
    condition = {"type": "Ready", "status": "False", "reason": "Running", "lastTransitionTime": "2026-11-24T12:00:00Z"}

    def write(*conditions: dict[str, Any]) -> str:
        patch = json.dumps({"status": {"conditions": conditions, "observedGeneration": 1}})
        return kubectl.run("patch", "cpj", "conditions", "--subresource=status", "--type=merge", f"--patch={patch}")

    with pytest.raises(LocalClusterError, match="Duplicate value"):
        write(condition, condition | {"status": "True"})
    write(condition, condition | {"type": "Complete"})
    with pytest.raises(LocalClusterError, match="timed out"):
        kubectl.run("wait", "cpj/conditions", "--for=condition=Ready", "--timeout=1s")
    write(condition | {"status": "True"}, condition | {"type": "Complete"})
    assert "condition met" in kubectl.run("wait", "cpj/conditions", "--for=condition=Ready", "--timeout=30s")


def test_every_field_is_explained(kubectl: Kubectl) -> None:
    text = kubectl.run("explain", "cpj.spec", "--recursive")
    assert "sparsity" in text
    assert "Largest drop from the baseline" in kubectl.run("explain", "cpj.spec.sla.quality.maxDrop")
    for field, words in (("runtime", "Default: cpu. Example: cpu-large."), ("retries", "or else 3. Example: 5.")):
        assert words in " ".join(kubectl.run("explain", f"cpj.spec.{field}").split())


def test_the_printer_columns_of_a_job(kubectl: Kubectl) -> None:
    create(kubectl, job("columns"))
    status = {
        "phase": "Succeeded", "reason": "SLAMet", "stage": "", "progress": 100, "progressText": "100%",
        "sizeRatio": "0.254", "latencyP99": "7.31ms",
        "verdict": "Pass",
    }  # fmt: skip
    patch = json.dumps({"status": status})
    kubectl.run("patch", "cpj", "columns", "--subresource=status", "--type=merge", f"--patch={patch}")
    header, line = kubectl.run("get", "cpj", "columns").splitlines()
    assert header.split() == ["NAME", "PHASE", "REASON", "STAGE", "PROGRESS", "SIZE", "P99", "VERDICT", "AGE"]
    assert line.split()[:7] == ["columns", "Succeeded", "SLAMet", "100%", "0.254", "7.31ms", "Pass"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("spec.image", REMOVE, "Required value"),
        ("spec.volumes", [{"name": "a", "mountPath": "/data", "hostPath": {"path": "/"}}], "unknown field"),
        ("spec.volumes", [{"name": "a", "mountPath": "/data"}], "exactly one of"),
        ("spec.volumes", [{"name": "a", "mountPath": "/work", "configMap": {"name": "a"}}], "reserved for"),
        ("spec.resources.limits", {"memory": "lots"}, "should match"),
        ("spec.pricePerHour", "free", "above 0"),
        ("spec.securityContext", {"privileged": True}, "unknown field"),
        ("spec.measuring", {"isolation": "StaticCPUs"}, "the same whole number"),
        ("spec.measuring", {"isolation": "GPU"}, "needs a GPU or a MIG instance that the pod has alone"),
        ("spec.measuring", {"isolation": "Alone"}, 'supported values: "StaticCPUs", "Node", "GPU", "Shared"'),
    ],
)
def test_an_invalid_runtime_is_refused(kubectl: Kubectl, field: str, value: object, says: str) -> None:
    manifest = {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionRuntime",
        "metadata": {"name": "cpu"},
        "spec": {"image": "a/b:c"},
    }
    create(kubectl, manifest, "--dry-run=server")
    set_field(manifest, field, value)
    assert says in refusal(kubectl, manifest, "--dry-run=server")


@pytest.mark.parametrize(
    ("requests", "limits", "says"),
    [
        ({"cpu": 2, "memory": "1Gi"}, {"cpu": "2", "memory": "1024Mi"}, ""),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "2", "memory": "1Gi"}, "the same whole number"),
        ({"cpu": "500m", "memory": "1Gi"}, {"cpu": "500m", "memory": "1Gi"}, "the same whole number"),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "2Gi"}, "the same amount"),
        ({"cpu": "1"}, {"cpu": "1", "memory": "2Gi"}, "the same amount"),
    ],
)
def test_whole_cpus_need_a_guaranteed_pod(kubectl: Kubectl, requests: Any, limits: Any, says: str) -> None:
    manifest = {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionRuntime",
        "metadata": {"name": "whole"},
        "spec": {"image": "a/b:c", "resources": {"requests": requests, "limits": limits}},
    }
    create(kubectl, manifest, "--dry-run=server")
    set_field(manifest, "spec.measuring", {"isolation": "StaticCPUs"})
    if says:
        assert says in refusal(kubectl, manifest, "--dry-run=server")
    else:
        assert "created" in create(kubectl, manifest, "--dry-run=server")


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        ({"nvidia.com/gpu": 1}, False),
        ({"nvidia.com/mig-1g.10gb": "2"}, False),
        ({"nvidia.com/gpu": "0"}, True),
        ({"nvidia.com/gpu.shared": "1"}, True),
    ],
)
def test_a_slot_for_a_gpu_needs_one_that_the_pod_has_alone(
    kubectl: Kubectl, limits: dict[str, Any], refused: bool
) -> None:
    manifest = {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionRuntime",
        "metadata": {"name": "gpus"},
        "spec": {"image": "a/b:c", "resources": {"limits": limits}, "measuring": {"isolation": "GPU"}},
    }
    if refused:
        assert "that the pod has alone" in refusal(kubectl, manifest, "--dry-run=server")
    else:
        assert "created" in create(kubectl, manifest, "--dry-run=server")


@pytest.mark.parametrize("value", [0, 1, "0.01"])
def test_a_decimal_number_may_be_a_whole_number_without_quotes(kubectl: Kubectl, value: object) -> None:
    assert "created" in create(kubectl, job(spec__sla__quality__maxDrop=value), "--dry-run=server")


def test_the_printer_columns_of_a_runtime(kubectl: Kubectl) -> None:
    for name, resources in {
        "large": {"requests": {"cpu": 2}, "limits": {"memory": "4Gi", "nvidia.com/gpu": 1}},
        "small": {"limits": {"cpu": "500m", "amd.com/gpu": "2"}, "requests": {"memory": "1Gi"}},
    }.items():
        spec = {"image": "a/b:c", "pricePerHour": 3, "resources": resources}
        manifest = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionRuntime"}
        create(kubectl, manifest | {"metadata": {"name": name}, "spec": spec})
    rows = [line.split()[:6] for line in kubectl.run("get", "cprt").splitlines()]
    assert rows == [
        ["NAME", "IMAGE", "CPU", "MEMORY", "GPU", "PRICE"],
        ["large", "a/b:c", "2", "4Gi", "1", "3"],
        ["small", "a/b:c", "500m", "1Gi", "2", "3"],
    ]


def test_the_api_server_adds_no_default_of_measuring_to_a_runtime(kubectl: Kubectl) -> None:
    """An older operator refuses unknown fields, so stored runtimes must not get new ones."""
    manifest = {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionRuntime",
        "metadata": {"name": "plain"},
        "spec": {"image": "a/b:c"},
    }
    stored = json.loads(create(kubectl, manifest, "--dry-run=server", "--output=json"))
    assert stored["spec"]["resources"] == {"requests": {}, "limits": {}}
    assert "measuring" not in stored["spec"]


def test_the_recorded_responses_to_wrong_manifests_are_current(kubectl: Kubectl) -> None:
    assert record_responses(kubectl.kubeconfig) == of_server(), "run: python -m tests.support.messages --server"
