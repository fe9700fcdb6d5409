"""The Job that removes files: small, with only the output's credentials and claims."""

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


def build(known_jobs: tuple[str, ...] = (), **changes: Any) -> dict[str, Any]:
    status = {"phase": "Succeeded", "part": "Run", "retention": {"checkpoints": "1h", "cleaning": ["checkpoints"]}}
    record = job(status=status, **changes)
    manifest = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionJob", "metadata": {"name": "x"}}
    spec = parse_job(manifest | {"spec": record.spec()}).spec
    parsed = runtime(**GPU).runtime
    assert parsed is not None
    on = CompressionRuntimeSpec.model_validate(parsed.spec.to_json())
    return cleaning_job(record, spec, on, ["checkpoints"], known_jobs=known_jobs)


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = manifest["spec"]["template"]["spec"]["containers"][0]
    return container


def test_cleaning_job_needs_no_accelerator_and_has_no_price() -> None:
    manifest = build()
    assert container(manifest)["resources"] == {
        "requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "512Mi"},
    }  # fmt: skip
    assert not [name for name in manifest["metadata"]["annotations"] if "price" in name]
    assert manifest["spec"]["activeDeadlineSeconds"] == 3600
    assert manifest["spec"]["template"]["spec"]["nodeSelector"] == {"gpu": "yes"}


def test_cleaning_job_gets_only_output_credentials() -> None:
    own, shared = {"secretName": "models", "endpoint": "http://a:9000"}, {"secretName": "output"}
    variables = {
        item["name"]: item.get("value", item.get("valueFrom"))
        for item in container(build(spec__model__storage=own, spec__storage=shared))["env"]
    }
    assert json.loads(variables["COMPRESSION_CLEAN"]) == ["checkpoints"]
    assert variables["COMPRESSION_PART"] == "Clean"
    assert variables["OUTPUT_AWS_ACCESS_KEY_ID"]["secretKeyRef"]["name"] == "output"
    assert not [name for name in variables if name.startswith(("MODEL_", "DATA_", "HUB_"))]


def test_it_knows_which_jobs_there_are_unless_they_are_too_many() -> None:
    def known(*uids: str) -> list[str]:
        return [it["value"] for it in container(build(uids))["env"] if it["name"] == "COMPRESSION_KNOWN_JOBS"]

    assert known("0a1b2c3d-0000-4000-8000-000000000001", "ffffffff-1") == ["0a1b2c3d,ffffffff"]
    assert known(*(f"{number:08x}-1" for number in range(10_001))) == []


def test_cleaning_job_mounts_only_written_claims() -> None:
    manifest = build(spec__model__source="pvc://sources/minilm", spec__output={"destination": "pvc://results/minilm"})
    volumes = manifest["spec"]["template"]["spec"]["volumes"]
    claims = [item["persistentVolumeClaim"] for item in volumes if "persistentVolumeClaim" in item]
    assert claims == [{"claimName": "results", "readOnly": False}]


def test_suspended_and_queued_jobs_are_cleaned_at_once() -> None:
    assert build(spec__suspend=True)["spec"]["suspend"] is False
    queued = build(labels={"kueue.x-k8s.io/queue-name": "team-a"})
    assert queued["spec"]["suspend"] is False
    assert "kueue.x-k8s.io/queue-name" not in queued["metadata"]["labels"]
