"""Measuring slots in a CompressionRuntime: what StaticCPUs needs, and which parts of a job need a slot."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from compressionjob.crd import definitions
from compressionjob.errors import InvalidSpec
from compressionjob.measuring import reserved_cpus, slot_of
from compressionjob.runtime import CompressionRuntimeSpec, parse_runtime


def parse(isolation: str, requests: dict[str, Any], limits: dict[str, Any]) -> CompressionRuntimeSpec:
    spec = {
        "image": "runner:1",
        "resources": {"requests": requests, "limits": limits},
        "measuring": {"isolation": isolation},
    }
    head = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionRuntime", "metadata": {"name": "x"}}
    return parse_runtime(head | {"spec": spec}).spec


def test_the_default_isolation_is_node() -> None:
    assert CompressionRuntimeSpec(image="runner:1").measuring.isolation == "Node"


def test_a_runtime_has_no_default_that_older_operators_refuse() -> None:
    """An older operator refuses unknown fields, also after an upgrade of the CRD, so none may be added as a default."""
    (version,) = definitions()["compressionruntimes.yaml"]["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert "default" not in spec["properties"]["measuring"]


def test_static_cpus_are_whole_and_the_pod_guaranteed() -> None:
    guaranteed = {"cpu": 2, "memory": "1Gi"}
    assert parse("StaticCPUs", guaranteed, {"cpu": "2", "memory": "1024Mi"}).measuring.isolation == "StaticCPUs"


@pytest.mark.parametrize(
    ("requests", "limits", "says"),
    [
        (
            {"cpu": "1", "memory": "1Gi"}, {"cpu": "2", "memory": "1Gi"},
            "spec.resources.requests.cpu: '1, limits.cpu 2' is not valid: measuring.isolation StaticCPUs needs",
        ),
        ({"cpu": "500m", "memory": "1Gi"}, {"cpu": "500m", "memory": "1Gi"}, "'500m, limits.cpu 500m'"),
        ({"cpu": "1.5", "memory": "1Gi"}, {"cpu": "1.5", "memory": "1Gi"}, "'1.5, limits.cpu 1.5'"),
        ({"cpu": "0", "memory": "1Gi"}, {"cpu": "0", "memory": "1Gi"}, "'0, limits.cpu 0'"),
        ({"memory": "1Gi"}, {"cpu": "2", "memory": "1Gi"}, "'none, limits.cpu 2'"),
        (
            {"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "2Gi"},
            "spec.resources.requests.memory: '1Gi, limits.memory 2Gi'",
        ),
        ({"cpu": "1"}, {"cpu": "1"}, "spec.resources.requests.memory: 'none, limits.memory none'"),
    ],
)  # fmt: skip
def test_static_cpus_need_a_guaranteed_pod_with_whole_cpus(requests: Any, limits: Any, says: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        parse("StaticCPUs", requests, limits)
    assert says in str(refused.value)
    assert parse("Node", requests, limits).resources.limits


@pytest.mark.parametrize("name", ["nvidia.com/gpu", "nvidia.com/mig-1g.10gb", "nvidia.com/mig-3g.40gb"])
def test_a_slot_for_a_gpu_needs_a_gpu_or_an_instance(name: str) -> None:
    assert parse("GPU", {}, {"memory": "1Gi", name: 1}).measuring.isolation == "GPU"


@pytest.mark.parametrize(
    ("limits", "value"),
    [
        ({}, "none"),
        ({"memory": "1Gi"}, "memory"),
        ({"nvidia.com/gpu": "0"}, "nvidia.com/gpu"),
        ({"nvidia.com/gpu.shared": "1"}, "nvidia.com/gpu.shared"),
    ],
)
def test_a_slot_for_a_gpu_is_refused_without_one_that_the_pod_has_alone(limits: Any, value: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        parse("GPU", {}, limits)
    says = f"spec.resources.limits: '{value}' is not valid: measuring.isolation GPU needs a GPU or a MIG instance"
    assert says in str(refused.value)
    assert parse("Node", {}, limits).measuring.isolation == "Node"


def test_examples_use_no_more_threads_than_the_charts_runtime_has_cpus() -> None:
    repository = Path(__file__).parents[3]
    runtimes = yaml.safe_load((repository / "charts/compression-operator/values.yaml").read_text())["runtimes"]
    jobs = [
        (path.name, manifest["spec"])
        for path in sorted((repository / "examples").glob("*.yaml"))
        for manifest in yaml.safe_load_all(path.read_text())
        if manifest["spec"].get("runtime") in runtimes
    ]
    assert len(jobs) > 3
    for name, spec in jobs:
        resources = runtimes[spec["runtime"]]["resources"]
        threads = spec.get("benchmark", {}).get("threads", 1)
        assert threads <= reserved_cpus(resources["requests"], resources["limits"]), name


@pytest.mark.parametrize(
    ("part", "isolation", "slot"),
    [
        ("Run", "StaticCPUs", "StaticCPUs"),
        ("Measure", "Node", "Node"),
        ("Run", "Node", "Node"),
        ("Compress", "Node", ""),
        ("Publish", "StaticCPUs", ""),
        ("Measure", "Shared", ""),
        ("Run", "GPU", "GPU"),
        ("Measure", "GPU", "GPU"),
        ("Compress", "GPU", ""),
    ],
)
def test_a_part_that_measures_needs_a_slot(part: str, isolation: Any, slot: str) -> None:
    assert slot_of(part, isolation) == slot
