"""A Job in a queue is suspended through its Workload."""

from typing import Any

import pytest
from aiohttp import web

from compression_operator.cluster.workloads import set_active
from tests.support.operator.api_server import Answer, server

UID = "c0000000-0000-4000-8000-000000000001"


def kueue(served: str, *specs: dict[str, Any]) -> tuple[list[tuple[str, str]], Any]:
    """Return the requests to an API server with one version of Workloads, and its handler."""
    requests: list[tuple[str, str]] = []

    def answer(request: web.Request) -> Answer:
        requests.append((request.method, request.path_qs))
        if f"/{served}/" not in request.path:
            return 404, {"kind": "Status", "code": 404}, {}
        items = [{"metadata": {"name": f"job-{index}"}, "spec": spec} for index, spec in enumerate(specs)]
        return 200, {"metadata": {}, "items": items}, {}

    return requests, answer


@pytest.mark.parametrize("version", ["v1beta2", "v1beta1"])
@pytest.mark.parametrize(("now", "wanted"), [({}, False), ({"active": False}, True)])
async def test_the_workload_of_the_job_is_changed(version: str, now: dict[str, Any], wanted: bool) -> None:
    requests, answer = kueue(version, now)
    async with server(answer) as (client, _, _):
        assert await set_active(client, "ns", UID, active=wanted)
    path = f"/apis/kueue.x-k8s.io/{version}/namespaces/ns/workloads"
    assert ("GET", f"{path}?limit=200&labelSelector=kueue.x-k8s.io/job-uid%3D{UID}") in requests
    assert ("PATCH", f"{path}/job-0?fieldManager=compression-operator") in requests


async def test_workload_in_the_wanted_state_is_not_patched() -> None:
    requests, answer = kueue("v1beta2", {"active": True})
    async with server(answer) as (client, _, _):
        assert await set_active(client, "ns", UID, active=True)
    assert [method for method, _ in requests] == ["GET"]


async def test_without_kueue_there_is_no_workload() -> None:
    _, answer = kueue("v0")
    async with server(answer) as (client, _, _):
        assert not await set_active(client, "ns", UID, active=False)
    _, answer = kueue("v1beta2")
    async with server(answer) as (client, _, _):
        assert not await set_active(client, "ns", UID, active=False)
