"""The Job that removes files: cheap, with the output's credentials and claims alone."""

import json
from typing import Any

from compression_operator.child.cleaning import cleaning_job
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.spec import parse_job
from tests.support.operator.builders import job, runtime

GPU = {
    "resources": {"requests": {"cpu": "8"}, "limits": {"memory": "64Gi", "nvidia.com/gpu": "1"}},
    "pricePerHour": "3.5",
    "nodeSelector": {"gpu": "yes"},
}


def build(**changes: Any) -> dict[str, Any]:
    status = {"phase": "Succeeded", "part": "Clean", "retention": {"checkpoints": "1h", "cleaning": ["checkpoints"]}}
    record = job(status=status, **changes)
    manifest = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionJob", "metadata": {"name": "x"}}
    spec = parse_job(manifest | {"spec": record.spec()}).spec
    parsed = runtime(**GPU).runtime
    assert parsed is not None
    return cleaning_job(record, spec, CompressionRuntimeSpec.model_validate(parsed.spec.to_json()), ["checkpoints"])


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["spec"]["template"]["spec"]["containers"][0]
    return found


def test_it_needs_no_accelerator_and_costs_nothing_worth_counting() -> None:
    manifest = build()
    assert container(manifest)["resources"] == {
        "requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "512Mi"},
    }  # fmt: skip
    assert not [name for name in manifest["metadata"]["annotations"] if "price" in name]
    assert manifest["spec"]["activeDeadlineSeconds"] == 3600
    assert manifest["spec"]["template"]["spec"]["nodeSelector"] == {"gpu": "yes"}


def test_it_gets_what_to_remove_and_the_credentials_of_the_output_alone() -> None:
    own, shared = {"secretName": "models", "endpoint": "http://a:9000"}, {"secretName": "output"}
    variables = {
        item["name"]: item.get("value", item.get("valueFrom"))
        for item in container(build(spec__model__storage=own, spec__storage=shared))["env"]
    }
    assert json.loads(variables["COMPRESSION_CLEAN"]) == ["checkpoints"]
    assert variables["COMPRESSION_PART"] == "Clean"
    assert variables["OUTPUT_AWS_ACCESS_KEY_ID"]["secretKeyRef"]["name"] == "output"
    assert not [name for name in variables if name.startswith(("MODEL_", "DATA_", "HUB_"))]


def test_it_mounts_the_claims_that_the_job_writes_to_alone() -> None:
    manifest = build(spec__model__source="pvc://sources/minilm", spec__output={"destination": "pvc://results/minilm"})
    volumes = manifest["spec"]["template"]["spec"]["volumes"]
    claims = [item["persistentVolumeClaim"] for item in volumes if "persistentVolumeClaim" in item]
    assert claims == [{"claimName": "results", "readOnly": False}]


def test_a_job_that_its_user_holds_is_cleaned_up_all_the_same_and_a_queue_decides_about_its_own() -> None:
    assert build(spec__suspend=True)["spec"]["suspend"] is False
    queued = build(labels={"kueue.x-k8s.io/queue-name": "team-a"})
    assert queued["spec"]["suspend"] is True
    assert queued["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team-a"
