"""What the pod mounts and which credentials it gets: nothing that its job does not name."""

from collections.abc import Iterator
from typing import Any, Final

from compressionjob.locations import PVC_MOUNT_ROOT, Location, Storage, parse_location
from compressionjob.pod import (
    ACCESS_KEY_ID,
    HUB_TOKEN_KEY,
    HUB_TOKEN_VARIABLE,
    SECRET_ACCESS_KEY,
    SESSION_TOKEN,
    TMP,
    WORKDIR,
    Role,
    credential_variable,
)
from compressionjob.runtime import CompressionRuntimeSpec, RuntimeVolume
from compressionjob.spec import CompressionJobSpec

TMP_SIZE: Final = "2Gi"

# Key in the Secret, and whether the pod can start without it.
_SECRET_KEYS: Final = ((ACCESS_KEY_ID, False), (SECRET_ACCESS_KEY, False), (SESSION_TOKEN, True))


def claims_of(spec: CompressionJobSpec) -> dict[str, bool]:
    """The claims that a job names, in a steady order, each with whether it is written to."""
    claims: dict[str, bool] = {}
    for location, written in [*((item, False) for item in _sources(spec)), *((item, True) for item in _outputs(spec))]:
        if location.scheme == "pvc":
            claims[location.container] = claims.get(location.container, False) or written
    return claims


def claims_to_clean(spec: CompressionJobSpec) -> dict[str, bool]:
    """The claims that a job writes to: its sources may be gone when its files are removed."""
    return {location.container: True for location in _outputs(spec) if location.scheme == "pvc"}


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
        {"name": "work", "mountPath": WORKDIR},
        {"name": "tmp", "mountPath": TMP},
        *(
            {"name": f"claim-{index}", "mountPath": f"{PVC_MOUNT_ROOT}/{claim}", "readOnly": not written}
            for index, (claim, written) in enumerate(claims.items())
        ),
        *(
            {"name": f"runtime-{index}", "mountPath": volume.mount_path, "readOnly": _is_read_only(volume)}
            for index, volume in enumerate(runtime.volumes)
        ),
    ]


def credentials_of(spec: CompressionJobSpec, *, sources: bool = True) -> list[dict[str, Any]]:
    """Environment variables by role, read from Secrets by the kubelet: the operator never sees them.

    Without ``sources`` those of the output alone.
    """
    roles = {
        Role.MODEL: (spec.storage_of(spec.model), _models(spec)),
        Role.DATA: (
            spec.storage_of(spec.data.evaluation),
            [parse_location(part.source) for _, part in spec.data.sources()],
        ),
        Role.OUTPUT: (spec.storage_of(spec.output), list(_outputs(spec))),
    }
    return [
        *(
            variable
            for role, (storage, locations) in roles.items()
            if (sources or role == Role.OUTPUT) and any(location.scheme == "s3" for location in locations)
            for variable in _from_secret(role, storage)
        ),
        *(_hub_token(spec) if sources else ()),
    ]


def _from_secret(role: Role, storage: Storage) -> Iterator[dict[str, Any]]:
    if storage.secret_name is None:
        return
    for key, optional in _SECRET_KEYS:
        reference: dict[str, Any] = {"name": storage.secret_name, "key": key}
        if optional:
            reference["optional"] = True
        yield {"name": credential_variable(role, key), "valueFrom": {"secretKeyRef": reference}}


def _hub_token(spec: CompressionJobSpec) -> Iterator[dict[str, Any]]:
    is_asked = any(location.scheme == "hf" for location in _sources(spec))
    if is_asked and spec.hub is not None and spec.hub.secret_name is not None:
        reference = {"name": spec.hub.secret_name, "key": HUB_TOKEN_KEY}
        yield {"name": HUB_TOKEN_VARIABLE, "valueFrom": {"secretKeyRef": reference}}


def _sources(spec: CompressionJobSpec) -> Iterator[Location]:
    yield from (parse_location(location) for _, location in spec.sources())


def _models(spec: CompressionJobSpec) -> list[Location]:
    given = (location for stage in spec.pipeline for location in stage.parameters.models().values())
    return [parse_location(location) for location in (spec.model.source, *given)]


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
