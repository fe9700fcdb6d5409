"""Raw objects for the cache, as the API server sends them."""

from typing import Any

from tests.support.operator.builders import CHILD_UID, UID, raw_job, stamp

LABELS = {"compression-operator.io/job-uid": UID}


def raw_child(version: int = 200, owner: str = UID, namespace: str = "default", **status: Any) -> dict[str, Any]:
    """A child Job."""
    return {
        "metadata": {
            "name": "minilm-int8-0a1b2c3d",
            "namespace": namespace,
            "uid": CHILD_UID,
            "resourceVersion": str(version),
            "creationTimestamp": stamp(),
            "labels": LABELS,
            "ownerReferences": [{"kind": "CompressionJob", "name": "minilm-int8", "uid": owner, "controller": True}],
        },
        "spec": {},
        "status": status,
    }


def raw_pod(
    name: str = "pod-a", version: int = 300, owner: str = CHILD_UID, namespace: str = "default", running: bool = True
) -> dict[str, Any]:
    """A pod of the child."""
    state = {"running": {}} if running else {"waiting": {"reason": "ContainerCreating"}}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "labels": LABELS,
            "ownerReferences": [{"kind": "Job", "name": "x", "uid": owner, "controller": True}],
        },
        "status": {
            "phase": "Running" if running else "Pending",
            "podIP": "127.0.0.1",
            "containerStatuses": [{"name": "runner", "state": state}],
        },
    }


def raw_runtime(name: str = "cpu", version: int = 7, uid: str = "r-1", **spec: Any) -> dict[str, Any]:
    """A CompressionRuntime whose jobs have one pod; ``spec`` are its fields besides the image."""
    return {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionRuntime",
        "metadata": {"name": name, "uid": uid, "resourceVersion": str(version)},
        "spec": {"image": "runner:1", "measuring": {"isolation": "Shared"}, **spec},
    }


def raw_store(
    name: str = "team-a", version: int = 8, uid: str = "s-1", namespace: str = "default", **spec: Any
) -> dict[str, Any]:
    """A CompressionStore, for models and data of team A on an object store of its own."""
    fields: dict[str, Any] = {
        "endpoint": "http://store:9000",
        "secretName": "team-a-keys",
        "locations": [{"prefix": "s3://models/", "access": "ReadWrite"}, {"prefix": "s3://data/"}],
    }
    return {
        "apiVersion": "compression-operator.io/v1alpha1",
        "kind": "CompressionStore",
        "metadata": {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version)},
        "spec": fields | spec,
    }


def versioned_job(version: int, **options: Any) -> dict[str, Any]:
    """A CompressionJob in a version."""
    raw = raw_job(**options)
    raw["metadata"]["resourceVersion"] = str(version)
    return raw
