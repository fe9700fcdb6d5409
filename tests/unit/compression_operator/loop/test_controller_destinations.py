"""The controller and what goes wrong between a decision and its effect: destinations and queues stay consistent."""

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
    """A controller that a test lets look at jobs, all of which write to one destination."""

    def __init__(self, client: FakeClient) -> None:
        queue = WorkQueue()
        admission = Admission(queue.add)
        self.cache = Cache(queue.add, admission.release, children_protected=True)
        self.cache.put(RUNTIMES, raw_runtime())
        self._controller = controller(client, self.cache, queue, admission, lambda: NOW)

    async def look(self, job: JobRecord) -> None:
        """Have the controller bring a job forward."""
        await self._controller._bring_forward(job.uid)

    def apply(self, name: str, *, queued: bool = False, **changes: Any) -> JobRecord:
        """A CompressionJob as it is now."""
        raw = raw_job(name=name, labels={QUEUE: "team-a"} if queued else None, **changes)
        raw["metadata"]["uid"] = f"uid-{name}"
        raw["spec"]["output"] = {"destination": "s3://models/one"}
        self.cache.put(COMPRESSION_JOBS, raw)
        found = self.cache.job(f"uid-{name}")
        assert found is not None
        return found

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
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """What Kueue is told: which Job, and whether it may start it."""
    found: list[tuple[str, bool]] = []

    async def set_active(client: object, namespace: str, job_uid: str, *, active: bool) -> bool:
        await asyncio.sleep(0.01)
        found.append((job_uid, active))
        return True

    monkeypatch.setattr(controller_module, "set_active", set_active)
    return found


async def test_a_job_whose_creation_was_not_answered_keeps_its_destination() -> None:
    client = FakeClient(jobs=lambda _: Unreachable("POST: timeout") if len(client.created) == 1 else None)  # type: ignore[arg-type, return-value]
    loop = Loop(client)
    first, second = loop.apply("a"), loop.apply("b")
    with contextlib.suppress(Unreachable):
        await loop.look(first)
    await loop.look(second)
    assert client.created == [first.child_name], "the API server may have created it, and no watch has told yet"
    await loop.look(first)
    await loop.look(second)
    assert client.created == [first.child_name] * 2


async def test_of_two_queued_jobs_that_are_resumed_at_once_one_is_given_back_to_its_queue(
    told: list[tuple[str, bool]],
) -> None:
    loop = Loop(FakeClient())
    jobs = [loop.apply(name, queued=True, status=rests(name)) for name in ("a", "b")]
    for job in jobs:
        loop.put_child(job)
    await asyncio.gather(*(loop.look(job) for job in jobs))
    assert told == [("c-uid-a", True)]


class Resumes(FakeClient):
    """The user resumes the job just before the operator's status arrives."""

    newest: dict[str, Any]

    async def patch_status(self, resource: Resource, namespace: str, name: str, patch: Any) -> dict[str, Any]:
        """Refuse what was decided on the job as it was before."""
        if patch["metadata"]["resourceVersion"] == "100":
            raise Conflict(409, "changed", request="patch")
        return await super().patch_status(resource, namespace, name, patch)

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any]:
        """The job as its user left it."""
        return self.newest


async def test_a_queued_job_that_is_resumed_at_once_is_not_left_out_of_its_queue(told: list[tuple[str, bool]]) -> None:
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
    loop.put_child(job, 201, active=0, startTime=stamp())  # Kueue has evicted it, if it was told so
    await loop.look(job)
    assert told in ([], [("c-uid-a", False), ("c-uid-a", True)])


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


async def test_a_part_that_the_api_server_does_not_keep_is_begun_all_the_same() -> None:
    client = Forgetful()
    loop = Loop(client)
    job = loop.apply("a")
    complete = [{"type": "Complete", "status": "True", "lastTransitionTime": stamp()}]
    client.child = raw_child(job, 200, False, {"conditions": complete})
    loop.cache.put(JOBS, client.child)
    for _ in range(3):  # the verdict of its pod is lost, so it is measured again
        await loop.look(job)
    assert client.created == ["a-uid-a-measure-1"]
