"""What the pod mounts and which credentials it gets: nothing that its job does not name."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from compressionjob.locations import PVC_MOUNT_ROOT, Location, Storage, parse_location
from compressionjob.runtime import CompressionRuntimeSpec, RuntimeVolume
from compressionjob.spec import CompressionJobSpec

TMP_SIZE: Final = "2Gi"

# By scheme: keys in the Secret, and whether the pod can start without each.
_SECRET_KEYS: Final = {
    "s3": (("AWS_ACCESS_KEY_ID", False), ("AWS_SECRET_ACCESS_KEY", False), ("AWS_SESSION_TOKEN", True)),
    "hf": (("HF_TOKEN", False),),
}


def claims_of(spec: CompressionJobSpec) -> dict[str, bool]:
    """The claims that a job names, in a steady order, each with whether it is written to."""
    claims: dict[str, bool] = {}
    for location, written in [*((item, False) for item in _sources(spec)), *((item, True) for item in _outputs(spec))]:
        if location.scheme == "pvc":
            claims[location.container] = claims.get(location.container, False) or written
    return claims


def volumes_of(claims: dict[str, bool], runtime: CompressionRuntimeSpec) -> list[dict[str, Any]]:
    """The pod's volumes: work directory, /tmp, the job's claims, the runtime's volumes."""
    return [
        {"name": "work", "emptyDir": {"sizeLimit": runtime.workspace.size}},
        {"name": "tmp", "emptyDir": {"sizeLimit": TMP_SIZE}},
        *(
            {"name": f"claim-{index}", "persistentVolumeClaim": {"claimName": claim, "readOnly": not written}}
            for index, (claim, written) in enumerate(claims.items())
        ),
        *({"name": f"runtime-{index}", **_source(volume)} for index, volume in enumerate(runtime.volumes)),
    ]


def mounts_of(claims: dict[str, bool], runtime: CompressionRuntimeSpec) -> list[dict[str, Any]]:
    """Where the container sees the pod's volumes."""
    return [
        {"name": "work", "mountPath": "/work"},
        {"name": "tmp", "mountPath": "/tmp"},
        *(
            {"name": f"claim-{index}", "mountPath": f"{PVC_MOUNT_ROOT}/{claim}", "readOnly": not written}
            for index, (claim, written) in enumerate(claims.items())
        ),
        *(
            {"name": f"runtime-{index}", "mountPath": volume.mount_path, "readOnly": _is_read_only(volume)}
            for index, volume in enumerate(runtime.volumes)
        ),
    ]


def credentials_of(spec: CompressionJobSpec) -> list[dict[str, Any]]:
    """Environment variables by role, read from Secrets by the kubelet: the operator never sees them."""
    data = [part.source for _, part in spec.data.sources()]
    reached = {
        "MODEL": {text: spec.storage_of(spec.model, text) for text in _models(spec)},
        "DATA": {text: spec.storage_of(spec.data.evaluation, text) for text in data},
        "OUTPUT": {str(location): spec.storage_of(spec.output) for location in _outputs(spec)},
    }
    return [
        variable
        for role, storages in reached.items()
        for scheme, keys in _SECRET_KEYS.items()
        for variable in _from_secret(role, keys, _storage_for(scheme, storages))
    ]


def _storage_for(scheme: str, storages: Mapping[str, Storage]) -> Storage | None:
    """The one storage through which a role reaches all that it has of a scheme."""
    return next((storage for text, storage in storages.items() if parse_location(text).scheme == scheme), None)


def _from_secret(role: str, keys: Sequence[tuple[str, bool]], storage: Storage | None) -> Iterator[dict[str, Any]]:
    if storage is None or storage.secret_name is None:
        return
    for key, optional in keys:
        reference: dict[str, Any] = {"name": storage.secret_name, "key": key}
        if optional:
            reference["optional"] = True
        yield {"name": f"{role}_{key}", "valueFrom": {"secretKeyRef": reference}}


def _sources(spec: CompressionJobSpec) -> Iterator[Location]:
    yield from (parse_location(location) for _, location in spec.sources())


def _models(spec: CompressionJobSpec) -> list[str]:
    given = (location for stage in spec.pipeline for location in stage.parameters.models().values())
    return [spec.model.source, *given]


def _outputs(spec: CompressionJobSpec) -> Iterator[Location]:
    yield parse_location(spec.output.destination)
    yield spec.output.reports_location
    yield spec.output.checkpoints_location


def _source(volume: RuntimeVolume) -> dict[str, Any]:
    if volume.persistent_volume_claim is not None:
        return {"persistentVolumeClaim": volume.persistent_volume_claim.to_json()}
    assert volume.config_map is not None, "the contract admits exactly one source"
    return {"configMap": volume.config_map.to_json()}


def _is_read_only(volume: RuntimeVolume) -> bool:
    return volume.persistent_volume_claim is None or volume.persistent_volume_claim.read_only
