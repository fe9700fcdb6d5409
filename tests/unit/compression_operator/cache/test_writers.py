"""One writer at a destination at a time, across jobs, namespaces and lives of a job."""

from typing import Any

import pytest

from compression_operator.cache.cache import Cache
from compression_operator.cluster.resources import COMPRESSION_JOBS, JOBS, PODS, RUNTIMES
from compression_operator.records.job import JobRecord
from compression_operator.records.write_locations import to_annotation, write_locations_of
from tests.support.operator.builders import stamp
from tests.support.operator.raw import raw_runtime

GROUP = "compression-operator.io"
S3 = {"secretName": "s3", "endpoint": "http://store:9000"}


def spec(destination: str = "s3://models/minilm", **output: Any) -> dict[str, Any]:
    return {"output": {"destination": destination, **output}, "storage": S3}


class Cluster:
    """A cache into which a test puts jobs, Jobs and pods as they come and go."""

    def __init__(self) -> None:
        self.woken: list[str] = []
        self.cache = Cache(self.woken.append, children_protected=True)
        self.version = 100

    def _metadata(self, uid: str, name: str, namespace: str, owner: str = "", locations: tuple[str, ...] = ()) -> Any:
        self.version += 1
        labels = {f"{GROUP}/job-uid": owner, f"{GROUP}/job": name} if owner else {}
        annotations = {f"{GROUP}/writes-to": to_annotation(locations)} if locations else {}
        return {
            "uid": uid, "name": name, "namespace": namespace, "resourceVersion": str(self.version),
            "creationTimestamp": stamp(self.version), "labels": labels, "annotations": annotations,
        }  # fmt: skip

    def job(
        self, uid: str, *, name: str = "", namespace: str = "default", phase: str = "Pending", **changes: Any
    ) -> JobRecord:
        """A CompressionJob as it is now."""
        metadata = self._metadata(uid, name or uid, namespace)
        status = {"phase": phase, "conditions": changes.get("conditions") or []}
        raw = {"metadata": metadata, "spec": changes.get("spec") or spec(), "status": status}
        self.cache.put(COMPRESSION_JOBS, raw)
        record = self.cache.job(uid)
        assert record is not None
        return record

    def child(self, job: JobRecord, *, noted: bool = True, suspend: bool = False, **status: Any) -> None:
        """The Job of a CompressionJob."""
        locations = job.write_locations({}) if noted else ()
        metadata = self._metadata(f"{job.uid}-c", job.name, job.namespace, job.uid, locations)
        metadata["name"] = job.child_name
        metadata["ownerReferences"] = [{"kind": "CompressionJob", "name": job.name, "uid": job.uid, "controller": True}]
        self.cache.put(JOBS, {"metadata": metadata, "spec": {"suspend": suspend}, "status": status})

    def queued(self, job: JobRecord) -> None:
        """The Job of a CompressionJob, which a queue has suspended."""
        metadata = self._metadata(f"{job.uid}-c", job.name, job.namespace, job.uid, job.write_locations({}))
        metadata["name"] = job.child_name
        metadata["labels"] |= {"kueue.x-k8s.io/queue-name": "team-a"}
        metadata["ownerReferences"] = [{"kind": "CompressionJob", "name": job.name, "uid": job.uid, "controller": True}]
        self.cache.put(JOBS, {"metadata": metadata, "spec": {"suspend": True}, "status": {}})

    def pod(self, job: JobRecord, phase: str = "Running", *, noted: bool = True) -> None:
        """A pod of that Job."""
        locations = job.write_locations({}) if noted else ()
        metadata = self._metadata(f"{job.uid}-p", job.name, job.namespace, job.uid, locations)
        metadata["ownerReferences"] = [{"kind": "Job", "name": "x", "uid": f"{job.uid}-c", "controller": True}]
        self.cache.put(PODS, {"metadata": metadata, "status": {"phase": phase}})

    def gone(self, resource: Any, uid: str, job: str = "") -> None:
        """An object is deleted."""
        self.cache.drop(resource, {"uid": uid, "labels": {f"{GROUP}/job-uid": job}})

    def blocker(self, uid: str) -> str:
        """Whose pods a job waits for, "" when it need not wait."""
        observed = self.cache.observe(uid)
        assert observed is not None
        return observed.blocker.job_uid if observed.blocker is not None else ""


OVERLAPS = [
    ("s3://models/minilm", "s3://models/minilm", True),
    ("s3://models/minilm/", "s3://models/minilm", True),
    ("s3://models/minilm", "s3://models/minilm/v2", True),
    ("s3://models/minilm/v2", "s3://models/minilm", True),
    ("s3://models/minilm", "s3://models/minilm-report", True),  # where the first one writes its report
    ("s3://models/minilm", "s3://models/minilm2", False),
    ("s3://models/minilm", "s3://others/minilm", False),
    ("pvc://claim/a", "pvc://claim/a/b", True),
    ("pvc://claim", "pvc://claim/a", True),
    ("pvc://claim/a", "pvc://other/a", False),
    ("file:///data/a", "file:///data/a", True),
]


@pytest.mark.parametrize(("first", "second", "overlap"), OVERLAPS)
def test_overlapping_destinations_are_written_in_sequence(first: str, second: str, overlap: bool) -> None:
    cluster = Cluster()
    cluster.child(cluster.job("a", spec=spec(first)), active=1)
    cluster.job("b", spec=spec(second))
    assert cluster.blocker("b") == ("a" if overlap else "")


def test_locations_distinguish_namespaces_and_endpoints() -> None:
    for first, second, overlap in [("pvc://claim/a", "pvc://claim/a", False), ("s3://models/a", "s3://models/a", True)]:
        cluster = Cluster()
        cluster.child(cluster.job("a", spec=spec(first)), active=1)
        cluster.job("b", namespace="team-b", spec=spec(second))
        assert bool(cluster.blocker("b")) == overlap
    elsewhere = {"output": {"destination": "s3://models/a"}, "storage": {"endpoint": "https://store.example.com"}}
    assert not set(write_locations_of(elsewhere, "x")) & set(write_locations_of(spec("s3://models/a"), "x"))


def test_claim_has_one_location_under_both_names() -> None:
    cluster = Cluster()
    volume = {"name": "models", "mountPath": "/data", "persistentVolumeClaim": {"claimName": "models"}}
    cluster.cache.put(RUNTIMES, raw_runtime(volumes=[volume], resources={"limits": {"memory": "2Gi"}}))
    cluster.child(cluster.job("a", spec=spec("pvc://models/x")), active=1)
    cluster.job("b", spec=spec("file:///data/x/y"))
    cluster.job("c", spec=spec("file:///other/x/y"))
    assert (cluster.blocker("b"), cluster.blocker("c")) == ("a", "")


def test_job_starts_when_the_earlier_writer_has_ended() -> None:
    cluster = Cluster()
    first = cluster.job("a")
    cluster.child(first, active=1)
    cluster.pod(first)
    cluster.job("b")
    cluster.job("c")
    assert (cluster.blocker("b"), cluster.blocker("c")) == ("a", "a")
    cluster.child(first, conditions=[{"type": "Complete", "status": "True"}])
    assert cluster.blocker("b") == "a", "its pod has not ended"
    cluster.woken.clear()
    cluster.blocker("c")
    cluster.pod(first, "Succeeded")
    assert [uid for uid in cluster.woken if uid != "a"] == ["b", "c"], "the oldest first"
    assert cluster.blocker("b") == ""


@pytest.mark.parametrize("noted", [True, False])
def test_reapplied_job_waits_for_pods_of_the_deleted_one(noted: bool) -> None:
    cluster = Cluster()
    first = cluster.job("a", name="minilm")
    cluster.child(first, active=1, noted=noted)
    cluster.pod(first, noted=noted)
    cluster.gone(COMPRESSION_JOBS, "a")
    cluster.gone(JOBS, "a-c", "a")
    cluster.pod(first, noted=noted)  # it is being ended
    cluster.job("b", name="minilm")
    assert cluster.blocker("b") == "a"
    cluster.gone(PODS, "a-p", "a")
    assert cluster.blocker("b") == ""


def test_job_waits_for_a_pod_without_its_job() -> None:
    cluster = Cluster()
    first = cluster.job("a")
    cluster.child(first, active=1)
    cluster.pod(first)
    cluster.gone(JOBS, "a-c", "a")
    assert cluster.blocker("a") == "a"
    cluster.pod(first, "Failed")
    assert cluster.blocker("a") == ""


def test_a_job_that_has_ended_is_waited_for_while_its_pod_ends() -> None:
    cluster = Cluster()
    first = cluster.job("a")
    cluster.child(first, active=1)
    cluster.job("a", phase="Failed")
    cluster.child(first, conditions=[{"type": "Failed", "status": "True"}])
    cluster.pod(first)
    cluster.job("b")
    assert cluster.blocker("b") == "a"
    cluster.gone(PODS, "a-p", "a")
    assert cluster.blocker("b") == ""


def test_suspended_or_reviewed_job_blocks_no_destination() -> None:
    cluster = Cluster()
    first = cluster.job("a")
    cluster.child(first, suspend=True)
    second = cluster.job("b")
    assert cluster.blocker("b") == ""
    cluster.child(second, active=1)
    assert cluster.blocker("a") == "b", "spec.suspend is false again"


def test_two_queued_jobs_that_are_resumed_do_not_wait_for_each_other() -> None:
    cluster = Cluster()
    suspended = [{"type": "Suspended", "status": "True", "reason": "SuspendedByUser", "lastTransitionTime": stamp()}]
    for uid in ("a", "b"):
        cluster.queued(cluster.job(uid, phase="Suspended", conditions=suspended))
    cluster.child(cluster.job("c"), active=1)
    assert (cluster.blocker("a"), cluster.blocker("b")) == ("c", "c")
    for uid in ("a", "b"):  # they wait to go on
        cluster.job(uid, phase="Pending", conditions=suspended)
    cluster.gone(JOBS, "c-c", "c")
    assert cluster.blocker("a") == ""


def test_reservation_blocks_other_jobs_at_once() -> None:
    cluster = Cluster()
    first, _ = cluster.job("a"), cluster.job("b")
    cluster.cache.writers.reserve(first)
    assert (cluster.blocker("a"), cluster.blocker("b")) == ("", "a")
    cluster.woken.clear()
    cluster.cache.writers.release(first)
    assert cluster.woken == ["b"]
    assert cluster.blocker("b") == ""


def test_deleted_job_no_longer_waits() -> None:
    cluster = Cluster()
    first = cluster.job("a")
    cluster.child(first, active=1)
    cluster.job("b")
    assert cluster.blocker("b") == "a"
    cluster.gone(COMPRESSION_JOBS, "b")
    cluster.woken.clear()
    cluster.child(first, conditions=[{"type": "Complete", "status": "True"}])
    assert "b" not in cluster.woken
