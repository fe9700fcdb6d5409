"""Policies exist before a child Job, are restored after a change, and are removed with the last job."""

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from compression_operator.cache.cache import Cache
from compression_operator.cluster.errors import Gone, PolicyRefused, Unreachable
from compression_operator.cluster.resources import COMPRESSION_JOBS, PODS, RUNTIMES
from compression_operator.loop import network_policies
from compression_operator.loop.admission import Admission
from compression_operator.loop.network_policies import NetworkPolicies
from compression_operator.queue import WorkQueue
from compressionjob.group import MANAGED_BY, MANAGED_BY_LABEL
from tests.support.operator.builders import NOW, UID, raw_job
from tests.support.operator.control_loop import until
from tests.support.operator.fake_client import FakeClient, controller, refused
from tests.support.operator.policy_server import PolicyServer
from tests.support.operator.raw import raw_pod, raw_runtime

NAMES = ("runners", "runners-identity")


def content(namespace: str) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "metadata": {"name": name, "namespace": namespace, "labels": {MANAGED_BY_LABEL: MANAGED_BY}},
            "spec": {"podSelector": {"matchLabels": {"policy": name}}},
        }
        for name in NAMES
    }


class Site:
    """A cache with jobs, and the policies that are kept for them."""

    def __init__(self, *namespaces: str) -> None:
        self.server, self.cache = PolicyServer(), Cache(lambda _: None)
        self.policies = NetworkPolicies(self.server, self.cache, NAMES, content, namespaces)

    def add_job(self, namespace: str = "default", uid: str = UID) -> None:
        raw = raw_job()
        raw["metadata"] |= {"namespace": namespace, "uid": uid, "name": uid}
        self.cache.put(COMPRESSION_JOBS, raw)

    def remove_job(self, uid: str = UID) -> None:
        self.cache.drop(COMPRESSION_JOBS, {"uid": uid})

    def there(self, namespace: str = "default") -> bool:
        """Whether both policies are there as they should be."""
        return all(
            (stored := self.server.stored.get((namespace, name))) is not None
            and stored["spec"] == manifest["spec"] | {"defaulted": True}
            for name, manifest in content(namespace).items()
        )

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.policies.run())
        try:
            yield
            assert not task.done(), task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_new_leader_creates_only_missing_policies() -> None:
    site = Site()
    site.add_job()
    site.add_job("team-b", "uid-b")
    await site.policies.ensure("default")
    written = len(site.server.calls)
    async with site.kept():
        await until(lambda: site.there("team-b"))
    assert site.there()
    assert site.server.calls[written:] == ["apply team-b/runners", "apply team-b/runners-identity"]


async def test_ensure_sends_one_request_for_a_namespace() -> None:
    site = Site()
    for _ in range(3):
        await site.policies.ensure("default")
    assert site.server.calls == ["apply default/runners", "apply default/runners-identity"]


@pytest.mark.parametrize("name", NAMES)
async def test_changed_or_deleted_policy_is_restored(name: str) -> None:
    site = Site()
    site.add_job()
    async with site.kept():
        await until(site.there)
        site.server.edit(("default", name), podSelector={})
        assert not site.there()
        await until(site.there)
        site.server.remove(("default", name))
        assert not site.there()
        await until(site.there)


@pytest.mark.parametrize("error", [Gone(410, "too old", request="watch"), Unreachable("reset")])
async def test_missed_deletion_is_detected_by_the_next_list(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_policies, "FIRST_PAUSE", 0.01)
    site = Site()
    site.add_job()
    async with site.kept():
        await until(site.there)
        site.server.forget_quietly(("default", "runners"))
        site.server.end_watches(error)
        await until(site.there)


async def test_policies_go_with_the_last_job_and_its_last_pod() -> None:
    site = Site()
    site.add_job()
    site.add_job(uid="uid-2")
    site.cache.put(PODS, raw_pod())
    async with site.kept():
        await until(site.there)
        site.remove_job()
        site.policies.sweep()
        await asyncio.sleep(0.05)
        site.remove_job("uid-2")
        site.policies.sweep()
        await asyncio.sleep(0.05)
        assert site.there()  # for the pod
        site.cache.drop(PODS, raw_pod()["metadata"])
        site.policies.sweep()
        await until(lambda: not site.server.stored)
        site.add_job(uid="uid-3")
        await site.policies.ensure("default")
        assert site.there()


async def test_changed_content_is_applied_with_the_next_job_or_sweep() -> None:
    site = Site()
    site.add_job()
    wanted = content("default")
    site.policies = NetworkPolicies(site.server, site.cache, NAMES, lambda _: wanted, ())
    async with site.kept():
        await until(site.there)
        wanted = copy.deepcopy(wanted)
        wanted["runners"]["spec"]["egress"] = [{}]
        site.policies.sweep()
        await until(lambda: site.server.stored["default", "runners"]["spec"].get("egress") == [{}])
        wanted = content("default")
        await site.policies.ensure("default")
        assert site.there()


async def test_foreign_policy_is_not_removed() -> None:
    site = Site()
    site.server.stored["default", "runners"] = {
        "metadata": {"name": "runners", "namespace": "default", "uid": "u", "resourceVersion": "1"},
        "spec": {},
    }
    async with site.kept():
        await asyncio.sleep(0.05)
        site.policies.sweep()
        await asyncio.sleep(0.05)
    assert site.server.calls == []


async def test_with_a_list_of_namespaces_only_these_are_watched() -> None:
    site = Site("default", "team-b")
    site.add_job()
    async with site.kept():
        await until(site.there)
        site.server.remove(("default", "runners"))
        await until(site.there)


async def test_refused_policy_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    site.add_job()
    site.server.refusal = refused(403, "no right")
    async with site.kept():
        await until(lambda: len(site.server.calls) > 1)
        site.server.refusal = None
        await until(site.there)


@pytest.mark.parametrize("code", [400, 403, 422])
async def test_a_refused_policy_keeps_the_job_waiting_and_says_so(code: int) -> None:
    site = Site()
    site.server.refusal = refused(code, "networkpolicies is forbidden")
    with pytest.raises(PolicyRefused):
        await site.policies.ensure("default")
    client, queue = FakeClient(), WorkQueue()
    site.cache.put(RUNTIMES, raw_runtime())
    site.add_job()
    looking = controller(client, site.cache, queue, Admission(queue.add), lambda: NOW, isolate=site.policies.ensure)
    task = asyncio.create_task(looking.run(1))
    try:
        await until(lambda: client.stored)
        status = client.stored[UID]
        assert "refused the NetworkPolicy: runners: networkpolicies is forbidden" in status["message"]
        assert (status["phase"], client.created) == ("Pending", [])
        (accepted,) = [it for it in status["conditions"] if it["type"] == "Accepted"]
        assert accepted["status"] == "True"  # nothing about the job or its runtime is wrong
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_the_policies_are_there_before_the_job_is() -> None:
    site, queue = Site(), WorkQueue()
    site.cache.put(RUNTIMES, raw_runtime())
    site.add_job()
    seen: list[bool] = []
    client = FakeClient(jobs=lambda _: seen.append(site.there()))
    looking = controller(client, site.cache, queue, Admission(queue.add), lambda: NOW, isolate=site.policies.ensure)
    task = asyncio.create_task(looking.run(1))
    try:
        await until(lambda: client.created)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert seen == [True]
