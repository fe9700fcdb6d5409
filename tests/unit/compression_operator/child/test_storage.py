"""Claims and keys of a pod: by role, by store, bound to their endpoints."""

from typing import Any

from compression_operator.child.storage import claims_of, credentials_of, mounts_of, volumes_of
from compressionjob.runtime import CompressionRuntimeSpec
from compressionjob.spec import CompressionJobSpec, parse_job
from compressionjob.stores import AllowedLocation, ResolvedStore, StoreConnection
from tests.support.manifests import job

RUNTIME = CompressionRuntimeSpec(image="runner:1")


def spec(**changes: Any) -> CompressionJobSpec:
    return parse_job(job(**changes)).spec


def resolved(*locations: tuple[str, str], **connection: str) -> dict[str, ResolvedStore]:
    allowed = [AllowedLocation.model_validate({"prefix": prefix, "access": access}) for prefix, access in locations]
    return {"team-a": ResolvedStore(StoreConnection(name="team-a", **connection), tuple(allowed))}


def references(given: CompressionJobSpec, stores: dict[str, ResolvedStore]) -> dict[str, Any]:
    references_by_name = {item["name"]: item for item in credentials_of(given, stores)}
    return {name: item["valueFrom"]["secretKeyRef"] for name, item in references_by_name.items() if "valueFrom" in item}


def test_pod_mounts_only_the_allowed_folder_of_a_claim() -> None:
    given = spec(
        spec__storage={"store": "team-a"},
        spec__model__source="pvc://shared/models/minilm",
        spec__data__evaluation__source="pvc://corpora/a.parquet",
        spec__output__destination="pvc://shared/team-a/out/minilm-int8",
    )
    stores = resolved(
        ("pvc://shared/models", "ReadOnly"), ("pvc://shared/team-a/", "ReadWrite"), ("pvc://corpora", "ReadOnly")
    )
    claims = claims_of(given, stores)
    mounts = [item for item in mounts_of(claims, RUNTIME) if item["name"].startswith("claim-")]
    assert mounts == [
        {"name": "claim-0", "mountPath": "/mnt/pvc/shared/models", "subPath": "models", "readOnly": True},
        {"name": "claim-1", "mountPath": "/mnt/pvc/corpora", "readOnly": True},
        {"name": "claim-0", "mountPath": "/mnt/pvc/shared/team-a", "subPath": "team-a", "readOnly": False},
    ]
    sources = [
        item["persistentVolumeClaim"] for item in volumes_of(claims, RUNTIME) if item["name"].startswith("claim")
    ]
    assert sources == [
        {"claimName": "shared", "readOnly": False},
        {"claimName": "corpora", "readOnly": True},
    ]


def test_each_role_gets_the_keys_of_its_own_store() -> None:
    given = spec(spec__storage={"store": "team-a"}, spec__output__storage={"store": "results"})
    results = ResolvedStore(StoreConnection(name="results", secret_name="results-keys"), ())
    stores = resolved(secret_name="team-a-keys", endpoint="http://store:9000") | {"results": results}
    references_by_name = references(given, stores)
    assert {name: item["name"] for name, item in references_by_name.items() if name.endswith("ACCESS_KEY_ID")} == {
        "MODEL_AWS_ACCESS_KEY_ID": "team-a-keys",
        "DATA_AWS_ACCESS_KEY_ID": "team-a-keys",
        "OUTPUT_AWS_ACCESS_KEY_ID": "results-keys",
    }
    assert not [name for name in references_by_name if name.endswith("ENDPOINT_URL")]


def test_a_store_without_a_secret_leaves_the_pod_its_ambient_identity() -> None:
    given = spec(spec__storage={"store": "team-a"})
    assert references(given, resolved(endpoint="http://store:9000")) == {}
    assert [item["name"] for item in credentials_of(given, resolved())] == ["COMPRESSION_STORES"]


def test_a_token_comes_from_the_store_that_the_job_names_for_the_hub() -> None:
    given = spec(
        spec__storage={"store": "team-a"}, spec__hub={"store": "team-a"}, spec__model__source="hf://acme/model"
    )
    references_by_name = references(given, resolved(hub_secret_name="hub-token", hub_endpoint="http://hub"))
    assert references_by_name["HUB_HF_TOKEN"] == {"name": "hub-token", "key": "HF_TOKEN"}
    assert "HUB_HF_ENDPOINT" not in references_by_name


def test_secret_provides_the_endpoint_without_a_store() -> None:
    given = spec(spec__hub={"secretName": "hub", "endpoint": "http://hub"}, spec__model__source="hf://acme/model")
    references_by_name = references(given, {})
    assert references_by_name["HUB_HF_ENDPOINT"] == {"name": "hub", "key": "HF_ENDPOINT", "optional": True}
    assert references_by_name["OUTPUT_AWS_ENDPOINT_URL"] == {"name": "s3", "key": "AWS_ENDPOINT_URL", "optional": True}


def test_pod_has_more_shared_memory_than_the_default() -> None:
    """Container runtimes give 64 MiB, and vLLM asks for 160 MiB."""
    (volume,) = [item for item in volumes_of([], RUNTIME) if item["name"] == "shm"]
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}
    assert {"name": "shm", "mountPath": "/dev/shm"} in mounts_of([], RUNTIME)
