"""Volumes and credentials of the pod: only those that its job names and its stores allow."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from compressionjob.job_locations import job_locations
from compressionjob.locations import PVC_MOUNT_ROOT, Hub, Location, Storage
from compressionjob.pod_interface import (
    ACCESS_KEY_ID,
    ENDPOINT_URL,
    HUB_ENDPOINT_KEY,
    HUB_ENDPOINT_VARIABLE,
    HUB_TOKEN_KEY,
    HUB_TOKEN_VARIABLE,
    SECRET_ACCESS_KEY,
    SESSION_TOKEN,
    SHARED_MEMORY,
    STORES_VARIABLE,
    TMP,
    WORKDIR,
    Role,
    credential_variable,
)
from compressionjob.runtime import CompressionRuntimeSpec, RuntimeVolume
from compressionjob.spec import CompressionJobSpec
from compressionjob.store_access import deciding_prefix
from compressionjob.stores import ResolvedStore

TMP_SIZE: Final = "2Gi"
SHARED_MEMORY_SIZE: Final = "2Gi"
"""Most shared memory; what is used counts as the container's memory."""
NO_STORES: Final[Mapping[str, ResolvedStore]] = MappingProxyType({})

# Key in the Secret, and whether the pod can start without it.
_SECRET_KEYS: Final = ((ACCESS_KEY_ID, False), (SECRET_ACCESS_KEY, False), (SESSION_TOKEN, True))


@dataclass(frozen=True)
class ClaimMount:
    """A folder of a claim ("" for the whole claim), and whether the pod writes to it."""

    claim: str
    folder: str
    written: bool


def claims_of(
    spec: CompressionJobSpec, stores: Mapping[str, ResolvedStore] = NO_STORES, *, sources: bool = True
) -> list[ClaimMount]:
    """Return the folders of claims that a job uses, in a stable order: whole claims, or the part that its stores allow.

    Without ``sources``, only those that it writes to: the sources may be gone when its files are removed.
    """
    mounts: dict[tuple[str, str], bool] = {}
    for place in job_locations(spec):
        if place.location.scheme == "pvc" and (sources or place.written):
            store = stores.get(place.storage.store or "")
            key = (place.location.container, _folder(place.location, store))
            mounts[key] = mounts.get(key, False) or place.written
    return [ClaimMount(claim, folder, written) for (claim, folder), written in mounts.items()]


def _folder(location: Location, store: ResolvedStore | None) -> str:
    """Return the folder of a claim that the prefix around a location allows: the pod sees no other one."""
    decides = deciding_prefix(location, store.locations) if store is not None else None
    return decides.location.path if decides is not None else ""


def volumes_of(claims: Sequence[ClaimMount], runtime: CompressionRuntimeSpec) -> list[dict[str, Any]]:
    """Return the pod's volumes: work directory, /tmp, /dev/shm, the job's claims, the runtime's volumes."""
    return [
        {"name": "work", "emptyDir": {"sizeLimit": runtime.workspace.size}},
        {"name": "tmp", "emptyDir": {"sizeLimit": TMP_SIZE}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": SHARED_MEMORY_SIZE}},
        *(
            {"name": f"claim-{index}", "persistentVolumeClaim": {"claimName": claim, "readOnly": not written}}
            for index, (claim, written) in enumerate(_written(claims).items())
        ),
        *({"name": f"runtime-{index}", **_source(volume)} for index, volume in enumerate(runtime.volumes)),
    ]


def mounts_of(claims: Sequence[ClaimMount], runtime: CompressionRuntimeSpec) -> list[dict[str, Any]]:
    """Return the mounts of the pod's volumes in the container."""
    names = {claim: f"claim-{index}" for index, claim in enumerate(_written(claims))}
    return [
        {"name": "work", "mountPath": WORKDIR},
        {"name": "tmp", "mountPath": TMP},
        {"name": "shm", "mountPath": SHARED_MEMORY},
        *(_claim_mount(names[mount.claim], mount) for mount in claims),
        *(
            {"name": f"runtime-{index}", "mountPath": volume.mount_path, "readOnly": _is_read_only(volume)}
            for index, volume in enumerate(runtime.volumes)
        ),
    ]


def _written(claims: Sequence[ClaimMount]) -> dict[str, bool]:
    """Return each claim once, and whether the pod writes to any folder of it."""
    written: dict[str, bool] = {}
    for mount in claims:
        written[mount.claim] = written.get(mount.claim, False) or mount.written
    return written


def _claim_mount(volume: str, mount: ClaimMount) -> dict[str, Any]:
    path = f"{PVC_MOUNT_ROOT}/{mount.claim}"
    if not mount.folder:
        return {"name": volume, "mountPath": path, "readOnly": not mount.written}
    folder = {"mountPath": f"{path}/{mount.folder}", "subPath": mount.folder}
    return {"name": volume, **folder, "readOnly": not mount.written}


def connections_json(stores: Mapping[str, ResolvedStore]) -> str:
    """Return the addresses and Secrets of stores, as JSON."""
    connections = [store.connection.to_json() for _, store in sorted(stores.items())]
    return json.dumps(connections, separators=(",", ":"))


def credentials_of(
    spec: CompressionJobSpec, stores: Mapping[str, ResolvedStore] = NO_STORES, *, sources: bool = True
) -> list[dict[str, Any]]:
    """Environment variables by role, read from Secrets by the kubelet: the operator never sees them.

    Without ``sources``, only those of the output.
    """
    variables: list[dict[str, Any]] = []
    for role, storage in _storages(spec).items():
        if not sources and role != Role.OUTPUT:
            continue
        store = stores.get(storage.store or "")
        variables.extend(_keys(role, storage) if store is None else _keys(role, store.connection.storage, bound=True))
    if sources and spec.hub is not None and any(place.location.scheme == "hf" for place in job_locations(spec)):
        store = stores.get(spec.hub.store or "")
        variables.extend(_hub_token(spec.hub) if store is None else _hub_token(store.connection.hub, bound=True))
    return variables + ([{"name": STORES_VARIABLE, "value": connections_json(stores)}] if stores else [])


def _storages(spec: CompressionJobSpec) -> dict[Role, Storage]:
    """Return the storage settings of each role with a location in an object store."""
    storages: dict[Role, Storage] = {}
    for place in job_locations(spec):
        if place.location.scheme == "s3":
            storages.setdefault(_role(place.field), place.storage)
    return {role: storages[role] for role in Role if role in storages}


def _role(field: str) -> Role:
    if field.startswith("spec.data."):
        return Role.DATA
    return Role.OUTPUT if field.startswith("spec.output.") else Role.MODEL


def _keys(role: Role, storage: Storage, *, bound: bool = False) -> Iterator[dict[str, Any]]:
    """Yield the keys for an object store, and the Secret's endpoint unless a store has ``bound`` them to its own."""
    if storage.secret_name is None:
        return
    for key, optional in (*_SECRET_KEYS, *([] if bound else [(ENDPOINT_URL, True)])):
        yield _from_secret(credential_variable(role, key), storage.secret_name, key, optional=optional)


def _hub_token(hub: Hub, *, bound: bool = False) -> Iterator[dict[str, Any]]:
    if hub.secret_name is None:
        return
    yield _from_secret(HUB_TOKEN_VARIABLE, hub.secret_name, HUB_TOKEN_KEY, optional=False)
    if not bound:
        yield _from_secret(HUB_ENDPOINT_VARIABLE, hub.secret_name, HUB_ENDPOINT_KEY, optional=True)


def _from_secret(variable: str, secret: str, key: str, *, optional: bool) -> dict[str, Any]:
    reference: dict[str, Any] = {"name": secret, "key": key}
    if optional:
        reference["optional"] = True
    return {"name": variable, "valueFrom": {"secretKeyRef": reference}}


def _source(volume: RuntimeVolume) -> dict[str, Any]:
    if volume.persistent_volume_claim is not None:
        return {"persistentVolumeClaim": volume.persistent_volume_claim.to_json()}
    assert volume.config_map is not None, "the contract admits exactly one source"
    return {"configMap": volume.config_map.to_json()}


def _is_read_only(volume: RuntimeVolume) -> bool:
    return volume.persistent_volume_claim is None or volume.persistent_volume_claim.read_only
