"""The stores of a namespace, and the reconcile of its jobs when they change."""

from typing import Any

from compression_operator.cache.cache import Cache
from compression_operator.cluster.resources import COMPRESSION_JOBS, JOBS, RUNTIMES, STORES
from tests.support.operator.builders import UID
from tests.support.operator.raw import raw_child, raw_runtime, raw_store, versioned_job

IN_STORE = {"spec__storage": {"store": "team-a"}}


def filled(*raw: dict[str, Any], **changes: Any) -> tuple[Cache, list[str]]:
    changed: list[str] = []
    cache = Cache(changed.append, children_protected=True)
    cache.put(RUNTIMES, raw_runtime())
    cache.put(COMPRESSION_JOBS, versioned_job(1, **changes))
    for item in raw:
        cache.put(STORES, item)
    changed.clear()
    return cache, changed


def names(cache: Cache) -> list[str]:
    observed = cache.observe(UID)
    assert observed is not None
    return sorted(observed.stores)


def test_a_job_sees_the_stores_of_its_namespace() -> None:
    cache, _ = filled(raw_store(), raw_store("b", uid="s-2"), raw_store("c", uid="s-3", namespace="other"))
    assert names(cache) == ["b", "team-a"]
    cache.drop(STORES, raw_store("b", uid="s-2")["metadata"])
    assert names(cache) == ["team-a"]
    # Another object of the name has taken its place.
    cache.drop(STORES, raw_store(uid="older")["metadata"])
    assert names(cache) == ["team-a"]


def test_store_change_reconciles_jobs_of_its_namespace() -> None:
    cache, changed = filled(raw_store())
    cache.put(STORES, raw_store(version=9))
    assert changed == [UID]
    cache.put(STORES, raw_store(version=9))
    cache.put(STORES, raw_store(version=10, namespace="other"))
    assert changed == [UID]
    cache.drop(STORES, raw_store()["metadata"])
    assert changed == [UID, UID]


def test_store_change_ignores_jobs_with_a_child_or_ended_jobs() -> None:
    cache, changed = filled()
    cache.put(JOBS, raw_child())
    changed.clear()
    cache.put(STORES, raw_store())
    assert changed == []
    ended, changed = filled(status={"phase": "Failed"})
    ended.put(STORES, raw_store())
    assert changed == []


def test_stores_are_known_by_version_and_forgotten_when_they_are_gone() -> None:
    cache, _ = filled(raw_store())
    assert cache.knows(STORES, raw_store()["metadata"])
    assert not cache.knows(STORES, raw_store(version=9)["metadata"])
    ((uid, (version, metadata)),) = cache.versions(STORES).items()
    assert (uid, version) == ("s-1", 8)
    cache.drop(STORES, metadata)
    assert cache.versions(STORES) == {}


def test_store_and_endpoint_give_the_same_location() -> None:
    cache, _ = filled(raw_store())
    by_store, by_endpoint = versioned_job(2, **IN_STORE), versioned_job(1)
    by_endpoint["spec"]["storage"] = {"secretName": "x", "endpoint": "http://store:9000"}
    by_store["metadata"] |= {"uid": "another", "name": "another"}
    by_store["spec"]["output"]["destination"] = by_endpoint["spec"]["output"]["destination"]
    cache.put(COMPRESSION_JOBS, by_store)
    cache.put(COMPRESSION_JOBS, by_endpoint | {"metadata": by_endpoint["metadata"] | {"resourceVersion": "3"}})
    running = raw_child(active=1)
    cache.put(JOBS, running)
    observed = cache.observe("another")
    assert observed is not None
    assert observed.blocker is not None
    # A store elsewhere has buckets of its own.
    cache.put(STORES, raw_store(version=9, endpoint="http://elsewhere:9000"))
    observed = cache.observe("another")
    assert observed is not None
    assert observed.blocker is None
