"""Objects that were deleted without a watch event are dropped, and unseen objects are waited for."""

import asyncio
from typing import Any

import pytest
from aiohttp import web

from compression_operator.cache.cache import Cache
from compression_operator.cache.resync import Resync
from compression_operator.cluster.resources import COMPRESSION_JOBS, JOBS, PODS, RUNTIMES
from tests.support.operator.api_server import Answer, server
from tests.support.operator.builders import UID
from tests.support.operator.raw import raw_child, raw_pod, raw_runtime, versioned_job


def listing(version: int, **objects: dict[str, Any]) -> Any:
    """A server that lists these objects by plural, as of a version."""

    def answer(request: web.Request) -> Answer:
        listed = objects.get(request.path.rsplit("/", 1)[1])
        items = [{"metadata": listed["metadata"]}] if listed else None
        return 200, {"metadata": {"resourceVersion": str(version)}, "items": items}, {}

    return answer


def filled() -> Cache:
    cache = Cache(lambda _: None, children_protected=True)
    cache.put(RUNTIMES, raw_runtime())
    cache.put(COMPRESSION_JOBS, versioned_job(100))
    cache.put(JOBS, raw_child(version=200))
    cache.put(PODS, raw_pod(version=300))
    return cache


def test_one_forged_job_does_not_keep_the_operator_from_starting() -> None:
    forged = raw_child()
    forged["metadata"]["annotations"] = {
        "compression-operator.io/writes-to": "[" * 100_000,
        "compression-operator.io/retries-before": "x",
    }
    cache = Cache(lambda _: None)
    cache.put(JOBS, forged)
    assert cache.knows(JOBS, forged["metadata"])


async def test_known_objects_are_not_missing() -> None:
    objects = {"compressionruntimes": raw_runtime(), "compressionjobs": versioned_job(100)}
    objects |= {"jobs": raw_child(), "pods": raw_pod()}
    cache = filled()
    async with server(listing(400, **objects)) as (client, _, _metrics):
        assert await Resync(client, cache, ()).compare() == []
    observed = cache.observe(UID)
    assert observed is not None
    assert observed.child is not None


async def test_deleted_objects_are_dropped_and_newer_ones_are_kept() -> None:
    cache = filled()
    async with server(listing(250, compressionjobs=versioned_job(100))) as (client, _, _metrics):
        assert await Resync(client, cache, ()).compare() == []
    observed = cache.observe(UID)
    assert observed is not None
    assert (observed.runtime, observed.child) == (None, None)
    assert list(cache.versions(PODS)) == ["uid-pod-a"]


async def test_catch_up_waits_for_unseen_objects() -> None:
    cache = filled()
    objects = {"compressionruntimes": raw_runtime(), "compressionjobs": versioned_job(101)}
    async with server(listing(400, **objects)) as (client, _, _metrics):
        waiting = asyncio.create_task(Resync(client, cache, ("default",)).catch_up())
        await asyncio.sleep(0.3)
        assert not waiting.done()
        cache.put(COMPRESSION_JOBS, versioned_job(101))
        await asyncio.wait_for(waiting, timeout=10)


async def test_objects_that_no_watch_reports_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compression_operator.cache.resync.WATCH_LAG", 0.3)
    cache = filled()
    objects = {"compressionruntimes": raw_runtime(version=8), "compressionjobs": versioned_job(101)}
    async with server(listing(400, **objects)) as (client, _, _metrics):
        counting = asyncio.create_task(Resync(client, cache, ("default",)).missing())
        await asyncio.sleep(0.1)
        cache.put(COMPRESSION_JOBS, versioned_job(101))  # late, but on its way
        assert await asyncio.wait_for(counting, timeout=10) == 1
