"""The manifest of the child Job: image, hardware, security, storage, failure policy."""

import re
from typing import Any

import pytest

from compression_operator.child.job import child_job
from compression_operator.records.pod import PodRecord
from compressionjob.group import AMBIENT_IDENTITY_LABEL
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.spec import parse_job
from tests.support.operator.builders import UID, job, runtime
from tests.support.operator.pods import files_of, input_of, variables_of

WHOLE_CPUS = {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}


def build(
    on: dict[str, Any] | None = None, *, labels: dict[str, str] | None = None, status: dict[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:  # fmt: skip
    record = job(labels=labels, status=status, **changes)
    manifest = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionJob", "metadata": {"name": "x"}}
    spec = parse_job(manifest | {"spec": record.spec()}).spec
    parsed = runtime(**(on or {})).runtime
    assert parsed is not None
    return child_job(record, spec, CompressionRuntimeSpec.model_validate(parsed.spec.to_json()))


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return pod


def container_of(manifest: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod_of(manifest)["containers"]
    result: dict[str, Any] = container
    return result


def test_names_and_owner_are_derived_from_the_job() -> None:
    manifest = build()
    assert manifest["metadata"]["name"] == f"minilm-int8-{UID[:8]}"
    (owner,) = manifest["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("CompressionJob", UID, True)
    labels = manifest["spec"]["template"]["metadata"]["labels"]
    assert labels["compression-operator.io/job"] == "minilm-int8"
    assert labels["compression-operator.io/job-uid"] == UID


def test_pods_with_an_identity_of_the_cloud_have_a_label_for_network_policies() -> None:
    def labels(**on: Any) -> dict[str, str]:
        result: dict[str, str] = build(on)["spec"]["template"]["metadata"]["labels"]
        return result

    assert labels(serviceAccountName="s3-reader")[AMBIENT_IDENTITY_LABEL] == "true"
    assert AMBIENT_IDENTITY_LABEL not in labels()


@pytest.mark.parametrize(("isolation", "part"), [("Node", "Measure"), ("Node", "Run")])
def test_a_pod_that_measures_keeps_every_other_job_off_its_node(isolation: str, part: str) -> None:
    manifest = build({"measuring": {"isolation": isolation}}, status={"part": part})
    (term,) = pod_of(manifest)["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert (term["topologyKey"], term["namespaceSelector"]) == ("kubernetes.io/hostname", {})
    (expression,) = term["labelSelector"]["matchExpressions"]
    assert expression["operator"] == "Exists"
    template = manifest["spec"]["template"]["metadata"]
    assert expression["key"] in template["labels"]
    for annotations in (manifest["metadata"]["annotations"], template["annotations"]):
        assert annotations["compression-operator.io/measuring-slot"] == isolation


@pytest.mark.parametrize(
    ("isolation", "part"), [("Node", "Compress"), ("Node", "Publish"), ("Shared", "Run"), ("StaticCPUs", "Run")]
)
def test_pods_without_a_slot_have_no_affinity(isolation: str, part: str) -> None:
    manifest = build({"measuring": {"isolation": isolation}, "resources": WHOLE_CPUS}, status={"part": part})
    assert "affinity" not in pod_of(manifest)
    annotations = manifest["metadata"]["annotations"]
    assert annotations.get("compression-operator.io/measuring-slot", "") == (
        "StaticCPUs" if isolation == "StaticCPUs" else ""
    )


@pytest.mark.parametrize("part", ["Run", "Measure"])
def test_pods_on_different_gpus_of_a_node_measure_at_once(part: str) -> None:
    """The device plugin gives each its own GPU or instance; nothing keeps other work off their CPUs."""
    resources = {"limits": {"memory": "8Gi", "nvidia.com/mig-1g.10gb": "1"}}
    manifest = build({"measuring": {"isolation": "GPU"}, "resources": resources}, status={"part": part})
    assert "affinity" not in pod_of(manifest)
    assert pod_of(manifest)["containers"][0]["resources"]["limits"]["nvidia.com/mig-1g.10gb"] == "1"
    assert manifest["metadata"]["annotations"]["compression-operator.io/measuring-slot"] == "GPU"
    assert variables_of(manifest)["COMPRESSION_ISOLATION"] == "Shared"


def test_pod_environment_has_isolation_and_cpus() -> None:
    environment = variables_of(build({"measuring": {"isolation": "StaticCPUs"}, "resources": WHOLE_CPUS}))
    assert environment["COMPRESSION_ISOLATION"] == "StaticCPUs"
    reserved = {"containerName": "runner", "resource": "requests.cpu", "divisor": "1"}
    assert environment["COMPRESSION_CPUS"] == {"resourceFieldRef": reserved}


def test_a_pod_with_static_cpus_is_guaranteed() -> None:
    pod = pod_of(build({"measuring": {"isolation": "StaticCPUs"}, "resources": WHOLE_CPUS}))
    containers = pod["containers"] + pod.get("initContainers", [])
    assert [item["resources"]["requests"] for item in containers] == [
        item["resources"]["limits"] for item in containers
    ]
    assert all({"cpu", "memory"} <= item["resources"]["limits"].keys() for item in containers)


def test_long_names_stay_valid() -> None:
    long = "a" * 51 + ".b" + "c" * 150
    manifest = build(name=long)
    assert manifest["metadata"]["name"] == "a" * 51 + f"-{UID[:8]}"
    assert job(name="short").child_name == f"short-{UID[:8]}"


def test_long_names_with_a_common_prefix_get_different_labels() -> None:
    names = ["a" * 63, "a" * 64, "a" * 65, "a" * 45 + "-." + "b" * 100, "a" * 45 + "-." + "b" * 101]
    labels = [build(name=name)["metadata"]["labels"] for name in names]
    for key in ("compression-operator.io/job", "app.kubernetes.io/instance"):
        values = [item[key] for item in labels]
        assert len(set(values)) == len(names)
        # The API server's rule for a label's value.
        assert all(
            len(value) <= 63 and re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", value) for value in values
        )
        # No object can be named like a cut one.
        assert [re.fullmatch(r"[a-z0-9.-]+", value) is not None for value in values] == [True, *[False] * 4]


def test_job_and_pod_have_the_recommended_labels() -> None:
    manifest = build()
    for labels in (manifest["metadata"]["labels"], manifest["spec"]["template"]["metadata"]["labels"]):
        assert {key.removeprefix("app.kubernetes.io/"): value for key, value in labels.items() if "app." in key} == {
            "name": "compression-runner",
            "instance": "minilm-int8",
            "component": "runner",
            "part-of": "compression-operator",
            "managed-by": "compression-operator",
        }


def test_environment_contains_no_user_text() -> None:
    names = ["$(HOME)", "$$", "$$(HOME)", "größe", *(f"特徴量-{number}" for number in range(996))]
    manifest = build(spec__data__evaluation__columns={"features": names})
    assert input_of(manifest)["job"]["spec"]["data"]["evaluation"]["columns"]["features"] == names
    variables = [value for value in variables_of(manifest).values() if isinstance(value, str)]
    assert not [value for value in variables if "$" in value or len(value) > 200]


def test_pod_record_excludes_the_input() -> None:
    manifest = build()
    template = manifest["spec"]["template"]
    (text,) = files_of(manifest).values()
    metadata = template["metadata"] | {"name": "pod-a", "namespace": "default", "uid": "p-1", "resourceVersion": "1"}
    assert "s3://data/sentences.parquet" in text
    assert "sentences" not in repr(PodRecord.of({"metadata": metadata, "spec": template["spec"]}))
    assert "compression-operator.io/input" not in manifest["metadata"]["annotations"]


def test_the_pod_is_restricted_and_has_no_token() -> None:
    pod, container = pod_of(build()), container_of(build())
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["restartPolicy"] == "Never"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_image_and_hardware_come_from_the_runtime() -> None:
    runtime_spec = {
        "image": "runner:gpu",
        "command": ["python", "-m", "compression_runner", "pod"],
        "resources": {"requests": {"cpu": "2"}, "limits": {"memory": "8Gi", "nvidia.com/gpu": "1"}},
        "nodeSelector": {"gpu": "a100"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "runtimeClassName": "nvidia",
        "priorityClassName": "batch",
        "serviceAccountName": "s3-reader",
        "imagePullSecrets": ["registry"],
        "env": [{"name": "HOME", "value": "/root"}, {"name": "OMP_NUM_THREADS", "value": "2"}],
    }
    manifest = build(runtime_spec)
    pod, container = pod_of(manifest), container_of(manifest)
    assert container["image"] == "runner:gpu"
    assert container["command"] == ["python", "-m", "compression_runner", "pod"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert pod["nodeSelector"] == {"gpu": "a100"}
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert (pod["runtimeClassName"], pod["priorityClassName"]) == ("nvidia", "batch")
    assert pod["serviceAccountName"] == "s3-reader"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    names = [item["name"] for item in container["env"]]
    assert len(names) == len(set(names))
    assert variables_of(manifest)["HOME"] == "/tmp"
    assert variables_of(manifest)["OMP_NUM_THREADS"] == "2"


def test_pod_input_excludes_mutable_fields() -> None:
    manifest = build(spec__ttl="1h", spec__suspend=True, spec__notifications=["ops"])
    given = input_of(manifest)["job"]
    assert given["metadata"] == {"name": "minilm-int8", "namespace": "default", "uid": UID}
    assert not {"suspend", "ttl", "notifications"} & given["spec"].keys()
    assert parse_job(given).spec.runtime == "cpu"
    assert manifest["spec"]["suspend"] is True


def test_credentials_are_references_by_role() -> None:
    environment = variables_of(
        build(spec__model__storage={"secretName": "models"}, spec__data__evaluation__source="pvc://data/x.parquet")
    )
    assert environment["MODEL_AWS_ACCESS_KEY_ID"] == {"secretKeyRef": {"name": "models", "key": "AWS_ACCESS_KEY_ID"}}
    assert environment["OUTPUT_AWS_SECRET_ACCESS_KEY"]["secretKeyRef"]["name"] == "s3"
    assert environment["MODEL_AWS_SESSION_TOKEN"]["secretKeyRef"]["optional"] is True
    assert not [name for name in environment if name.startswith("DATA_")]


def test_hub_token_and_store_keys_are_separate() -> None:
    environment = variables_of(
        build(
            spec__model__source="hf://acme/model",
            spec__hub={"secretName": "hub"},
            spec__data__evaluation__source="hf://datasets/acme/data/test.parquet",
        )
    )
    assert environment["HUB_HF_TOKEN"] == {"secretKeyRef": {"name": "hub", "key": "HF_TOKEN"}}
    # spec.storage, which names an object store, has no part in what is on the Hub.
    assert not [name for name in environment if name.startswith("DATA_") or name == "MODEL_AWS_ACCESS_KEY_ID"]
    assert environment["OUTPUT_AWS_ACCESS_KEY_ID"]["secretKeyRef"]["name"] == "s3"


def test_without_a_secret_the_pod_uses_its_ambient_identity() -> None:
    assert not [name for name in variables_of(build(spec__storage={"endpoint": "http://s3:1"})) if "AWS" in name]


def test_claims_are_mounted_once_and_writable_only_for_outputs() -> None:
    manifest = build(
        spec__model__source="pvc://models/minilm",
        spec__data__evaluation__source="pvc://shared/x.parquet",
        spec__output__destination="pvc://shared/out",
    )
    mounts = {item["mountPath"]: item for item in container_of(manifest)["volumeMounts"]}
    assert mounts["/mnt/pvc/models"]["readOnly"] is True
    assert mounts["/mnt/pvc/shared"]["readOnly"] is False
    claims = [item for item in pod_of(manifest)["volumes"] if "persistentVolumeClaim" in item]
    assert sorted(item["persistentVolumeClaim"]["claimName"] for item in claims) == ["models", "shared"]


def test_the_runtimes_volumes_are_mounted() -> None:
    volumes = [
        {"name": "site", "mountPath": "/opt/site", "persistentVolumeClaim": {"claimName": "site"}},
        {"name": "config", "mountPath": "/etc/site", "configMap": {"name": "site"}},
    ]
    manifest = build({"volumes": volumes, "workspace": {"size": "3Gi"}})
    mounts = {
        item["mountPath"]: item["readOnly"] for item in container_of(manifest)["volumeMounts"] if "readOnly" in item
    }
    assert mounts == {"/opt/site": True, "/etc/site": True, "/etc/compression-operator": True}
    by_name = {item["name"]: item for item in pod_of(manifest)["volumes"]}
    assert by_name["work"]["emptyDir"]["sizeLimit"] == "3Gi"
    assert by_name["runtime-1"]["configMap"] == {"name": "site"}


def test_failure_policy_distinguishes_failures() -> None:
    spec = build(spec__retries=5)["spec"]
    ignore, fail = spec["podFailurePolicy"]["rules"]
    assert ignore["action"] == "Ignore"
    assert ignore["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert fail["action"] == "FailJob"
    assert fail["onExitCodes"]["values"] == [2, 5, 7]
    assert spec["backoffLimit"] == 5
    assert spec["podReplacementPolicy"] == "Failed"


def test_a_queued_job_is_created_suspended_with_its_label() -> None:
    manifest = build(labels={"kueue.x-k8s.io/queue-name": "team-a"})
    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
    assert manifest["spec"]["suspend"] is True


def lifetime_in(manifest: dict[str, Any]) -> list[str]:
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    return [it["value"] for it in container["env"] if it["name"] == "COMPRESSION_CHECKPOINT_LIFETIME"]


def test_the_pod_gets_the_lifetime_of_checkpoints_as_it_is_fixed() -> None:
    on = {"retention": {"default": {"checkpoints": "2h"}}}
    assert lifetime_in(build()) == []
    assert lifetime_in(build(on=on)) == ["2h"]
    assert lifetime_in(build(on=on, spec__retention={"checkpoints": "1h"})) == ["1h"]
    later = {"part": "Measure", "childrenCreated": 1}
    assert lifetime_in(build(on=on, status=later | {"retention": {"checkpoints": "3h"}})) == ["3h"]
    assert lifetime_in(build(on=on, status=later)) == []
