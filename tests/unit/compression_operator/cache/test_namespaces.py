"""Labels of namespaces: the newest version counts, and a change reconciles waiting jobs."""

from typing import Any

from compression_operator.cache.cache import Cache
from compression_operator.cluster.resources import COMPRESSION_JOBS, NAMESPACES
from tests.support.operator.builders import UID, raw_job


def namespace(version: int, uid: str = "n-1", **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": "default", "uid": uid, "resourceVersion": str(version), "labels": labels}}


def cache_with_job(changed: list[str], reason: str) -> Cache:
    cache = Cache(changed.append)
    accepted = {"type": "Accepted", "status": "False", "reason": reason}
    cache.put(COMPRESSION_JOBS, raw_job(status={"phase": "Pending", "conditions": [accepted]}))
    changed.clear()
    return cache


def labels_in(cache: Cache) -> Any:
    observed = cache.observe(UID)
    assert observed is not None
    return observed.namespace_labels


def test_namespace_label_change_reconciles_waiting_jobs() -> None:
    changed: list[str] = []
    cache = cache_with_job(changed, "RuntimeNotAllowed")
    assert labels_in(cache) is None
    cache.put(NAMESPACES, namespace(5))
    assert changed == [UID]
    cache.put(NAMESPACES, namespace(6))
    assert changed == [UID]
    cache.put(NAMESPACES, namespace(7, gpu="yes"))
    assert changed == [UID, UID]
    cache.put(NAMESPACES, namespace(6, gpu="no"))  # an older event
    assert labels_in(cache) == {"gpu": "yes"}


def test_jobs_of_other_namespaces_are_not_reconciled() -> None:
    changed: list[str] = []
    cache = cache_with_job(changed, "RuntimeNotAllowed")
    other = namespace(5, gpu="yes")
    other["metadata"]["name"] = "elsewhere"
    cache.put(NAMESPACES, other)
    assert not changed


def test_deleted_namespace_is_replaced_by_its_successor() -> None:
    cache = cache_with_job([], "RuntimeNotAllowed")
    cache.put(NAMESPACES, namespace(5, gpu="yes"))
    assert cache.knows(NAMESPACES, namespace(5)["metadata"])
    assert cache.versions(NAMESPACES) == {"n-1": (5, {"uid": "n-1", "name": "default"})}
    cache.put(NAMESPACES, namespace(9, "n-2"))
    cache.drop(NAMESPACES, {"uid": "n-1", "name": "default"})
    assert labels_in(cache) == {}
    cache.drop(NAMESPACES, {"uid": "n-2", "name": "default"})
    assert labels_in(cache) is None
