"""Failures between a decision of the controller and its effect: destinations and queues stay consistent."""

import asyncio
import contextlib
from typing import Any

import pytest

from compression_operator.cache.cache import Cache
from compression_operator.cluster.errors import Conflict, NotFound, Unreachable
from compression_operator.cluster.resources import COMPRESSION_JOBS, JOBS, RUNTIMES, Resource
from compression_operator.loop import controller as controller_module
from compression_operator.loop.admission import Admission
from compression_operator.queue import WorkQueue
from compression_operator.records.job import JobRecord
from tests.support.operator.builders import NOW, raw_job, stamp
from tests.support.operator.fake_client import FakeClient, controller, refused
from tests.support.operator.raw import raw_runtime

QUEUE = "kueue.x-k8s.io/queue-name"
SUSPENDED = {"type": "Suspended", "status": "True", "reason": "SuspendedByUser", "lastTransitionTime": stamp()}


class Loop:
    """A controller whose jobs all write to one destination; the test triggers each reconcile."""

    def __init__(self, client: FakeClient) -> None:
        queue = WorkQueue()
        admission = Admission(queue.add)
        self.cache = Cache(queue.add, admission.release, children_protected=True)
        self.cache.put(RUNTIMES, raw_runtime())
        self._controller = controller(client, self.cache, queue, admission, lambda: NOW)

    async def look(self, job: JobRecord) -> None:
        """Reconcile a job."""
        await self._controller._reconcile(job.uid)

    def apply(self, name: str, *, queued: bool = False, **changes: Any) -> JobRecord:
        """A CompressionJob as it is now."""
        raw = raw_job(name=name, labels={QUEUE: "team-a"} if queued else None, **changes)
        raw["metadata"]["uid"] = f"uid-{name}"
        raw["spec"]["output"] = {"destination": "s3://models/one"}
        self.cache.put(COMPRESSION_JOBS, raw)
        calls = self.cache.job(f"uid-{name}")
        assert calls is not None
        return calls

    def put_child(self, job: JobRecord, version: int = 200, *, suspend: bool = True, **status: Any) -> None:
        """The Job of a CompressionJob in a queue."""
        self.cache.put(JOBS, raw_child(job, version, suspend, status))


def raw_child(job: JobRecord, version: int, suspend: bool, status: dict[str, Any]) -> dict[str, Any]:
    owner = {"kind": "CompressionJob", "name": job.name, "uid": job.uid, "controller": True}
    return {
        "metadata": {
            "name": job.child_name,
            "namespace": "default",
            "uid": f"c-{job.uid}",
            "resourceVersion": str(version),
            "creationTimestamp": stamp(),
            "labels": {"compression-operator.io/job-uid": job.uid} | ({QUEUE: job.queue} if job.queue else {}),
            "ownerReferences": [owner],
        },
        "spec": {"suspend": suspend},
        "status": status,
    }


def rests(name: str) -> dict[str, Any]:
    """The status of a queued job that its user has suspended."""
    child = {"name": "x", "uid": f"c-uid-{name}"}
    return {"phase": "Suspended", "queue": "team-a", "part": "Run", "childJob": child, "conditions": [SUSPENDED]}


@pytest.fixture
def queue_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Return the calls to Kueue: the Job, and whether it may start."""
    calls: list[tuple[str, bool]] = []

    async def set_active(client: object, namespace: str, job_uid: str, *, active: bool) -> bool:
        await asyncio.sleep(0.01)
        calls.append((job_uid, active))
        return True

    monkeypatch.setattr(controller_module, "set_active", set_active)
    return calls


async def test_unanswered_creation_keeps_the_reservation() -> None:
    client = FakeClient(jobs=lambda _: Unreachable("POST: timeout") if len(client.created) == 1 else None)  # type: ignore[arg-type, return-value]
    loop = Loop(client)
    first, second = loop.apply("a"), loop.apply("b")
    with contextlib.suppress(Unreachable):
        await loop.look(first)
    await loop.look(second)
    assert client.created == [first.child_name], "the API server may have created it, and no watch has reported it yet"
    await loop.look(first)
    await loop.look(second)
    assert client.created == [first.child_name] * 2


async def test_one_of_two_resumed_queued_jobs_waits_for_the_destination(
    queue_calls: list[tuple[str, bool]],
) -> None:
    loop = Loop(FakeClient())
    jobs = [loop.apply(name, queued=True, status=rests(name)) for name in ("a", "b")]
    for job in jobs:
        loop.put_child(job)
    await asyncio.gather(*(loop.look(job) for job in jobs))
    assert queue_calls == [("c-uid-a", True)]


class Resumes(FakeClient):
    """The user resumes the job just before the operator's status arrives."""

    newest: dict[str, Any]

    async def patch_status(self, resource: Resource, namespace: str, name: str, patch: Any) -> dict[str, Any]:
        """Refuse a patch that is based on an older version of the job."""
        if patch["metadata"]["resourceVersion"] == "100":
            raise Conflict(409, "changed", request="patch")
        return await super().patch_status(resource, namespace, name, patch)

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any]:
        """The job as its user left it."""
        return self.newest


async def test_queued_job_resumed_before_the_status_stays_queued(queue_calls: list[tuple[str, bool]]) -> None:
    client = Resumes()
    loop = Loop(client)
    running = {"phase": "Running", "queue": "team-a", "part": "Run", "startTime": stamp()}
    running["childJob"] = {"name": "x", "uid": "c-uid-a"}  # type: ignore[assignment]
    job = loop.apply("a", queued=True, status=running, spec__suspend=True)
    loop.put_child(job, suspend=False, active=1, startTime=stamp())
    client.newest = raw_job(name="a", labels={QUEUE: "team-a"}, status=running)
    client.newest["metadata"] |= {"uid": job.uid, "resourceVersion": "101"}
    with contextlib.suppress(Conflict):
        await loop.look(job)
    await loop.look(job)
    loop.put_child(job, 201, active=0, startTime=stamp())  # Kueue has evicted it, if asked to
    await loop.look(job)
    assert queue_calls in ([], [("c-uid-a", False), ("c-uid-a", True)])


class Forgetful(FakeClient):
    """Takes no status with a part, and knows one Job, which is complete."""

    def __init__(self) -> None:
        super().__init__(statuses=lambda status: refused(422, "x is invalid: y") if "part" in status else None)
        self.child: dict[str, Any] = {}

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any]:
        """The one Job."""
        if name != self.child["metadata"]["name"]:
            raise NotFound(404, "no such Job", request=f"get {name}")
        return self.child

    async def pages(self, *_: Any, **__: Any) -> Any:
        """No pods."""
        yield {"items": []}


async def test_part_is_started_even_if_the_status_drops_it() -> None:
    client = Forgetful()
    loop = Loop(client)
    job = loop.apply("a")
    complete = [{"type": "Complete", "status": "True", "lastTransitionTime": stamp()}]
    client.child = raw_child(job, 200, False, {"conditions": complete})
    loop.cache.put(JOBS, client.child)
    for _ in range(3):  # the verdict of its pod is lost, so it is measured again
        await loop.look(job)
    assert client.created == ["a-uid-a-measure-1"]


class Deletes(FakeClient):
    """Notes what is deleted, and how many statuses were written before."""

    def __init__(self) -> None:
        super().__init__()
        self.deleted: list[tuple[str, int]] = []

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        """Delete an object."""
        self.deleted.append((name, len(self.stored)))


async def test_a_job_that_waits_to_remove_files_is_deleted_before_its_attempt_ends() -> None:
    """The other way round it could begin to remove files beside the next job's pod."""
    client = Deletes()
    loop = Loop(client)
    retention = {"checkpoints": "1h", "cleaning": ["checkpoints"]}
    ended = {"phase": "Succeeded", "part": "Run", "childJob": {"name": "x", "uid": "c-uid-a"}, "retention": retention}
    job = loop.apply("a", status=ended | {"completionTime": stamp(-9000), "childrenCreated": 2}, queued=True)
    waiting = raw_child(job, 200, True, {})
    waiting["metadata"]["creationTimestamp"] = stamp(-3600)
    loop.cache.put(JOBS, waiting)
    successor = loop.apply("b")
    await loop.look(successor)
    assert client.created == []
    await loop.look(job)
    assert client.deleted == [(job.child_name, 1)]  # the status of the successor
    assert client.stored["a"]["retention"]["attempts"] == 1
    await loop.look(successor)
    assert client.created == [successor.child_name]
