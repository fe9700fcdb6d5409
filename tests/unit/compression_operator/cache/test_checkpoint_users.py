"""Jobs that share a folder of checkpoints, and jobs that wait while files are removed from it."""

from typing import Any

from compression_operator.cache.cache import Cache
from compression_operator.cluster.resources import COMPRESSION_JOBS, JOBS, PODS, RUNTIMES
from compression_operator.records.job import JobRecord
from compression_operator.records.write_locations import to_annotation
from tests.support.operator.raw import raw_runtime

GROUP = "compression-operator.io"
SHARED = "s3://models/shared"
CLEANING = {"checkpoints": "1h", "cleaning": ["checkpoints"]}


class Cluster:
    """A cache of jobs that write to destinations of their own and share their checkpoints."""

    def __init__(self) -> None:
        self.cache = Cache(lambda _: None, children_protected=True)
        self.cache.put(RUNTIMES, raw_runtime())
        self.version = 100

    def job(self, uid: str, phase: str = "Pending", *, checkpoints: str = SHARED, **status: Any) -> JobRecord:
        self.version += 1
        metadata = {"uid": uid, "name": uid, "namespace": "default", "resourceVersion": str(self.version)}
        output = {"destination": f"s3://models/{uid}", "checkpoints": checkpoints}
        raw = {"metadata": metadata, "spec": {"output": output}, "status": {"phase": phase, **status}}
        self.cache.put(COMPRESSION_JOBS, raw)
        record = self.cache.job(uid)
        assert record is not None
        return record

    def child(self, job: JobRecord) -> None:
        self.version += 1
        metadata = {
            "uid": f"{job.uid}-c", "name": job.child_name, "namespace": "default", "resourceVersion": str(self.version),
            "labels": {f"{GROUP}/job-uid": job.uid, f"{GROUP}/job": job.name, f"{GROUP}/part": job.part},
            "annotations": {f"{GROUP}/writes-to": to_annotation(job.write_locations({}))},
            "ownerReferences": [{"kind": "CompressionJob", "name": job.name, "uid": job.uid, "controller": True}],
        }  # fmt: skip
        self.cache.put(JOBS, {"metadata": metadata, "spec": {}, "status": {"active": 1}})

    def observe(self, uid: str) -> Any:
        return self.cache.observe(uid)


def test_an_unfinished_job_with_the_same_folder_is_named() -> None:
    cluster = Cluster()
    cluster.job("first", "Succeeded", retention={"checkpoints": "1h"})
    assert cluster.observe("first").checkpoint_user == ""
    cluster.job("elsewhere", "Running", checkpoints="s3://models/other")
    assert cluster.observe("first").checkpoint_user == ""
    cluster.job("second", "AwaitingReview")
    assert cluster.observe("first").checkpoint_user == "default/second"
    cluster.job("second", "Succeeded")
    assert cluster.observe("first").checkpoint_user == ""
    cluster.job("third")
    cluster.cache.drop(COMPRESSION_JOBS, {"uid": "third"})
    assert cluster.observe("first").checkpoint_user == ""


def test_an_ended_job_keeps_its_spec_while_files_are_to_be_removed() -> None:
    cluster = Cluster()
    assert cluster.job("first", "Succeeded", retention={"checkpoints": "1h"}).spec()
    assert not cluster.job("first", "Succeeded", retention={"checkpoints": "1h", "cleaned": ["checkpoints"]}).spec_json
    assert not cluster.job("first", "Succeeded").spec_json


def test_cleaning_job_is_observed_until_it_ends() -> None:
    cluster = Cluster()
    job = cluster.job("first", "Succeeded", part="Run", retention=CLEANING)
    cluster.child(job)
    assert cluster.observe("first").child.part == "Clean"
    cluster.job("first", "Succeeded", part="Run", retention={"checkpoints": "1h", "cleaned": ["checkpoints"]})
    assert cluster.observe("first").child is None


def test_a_job_that_shares_the_folder_starts_when_the_removal_has_ended() -> None:
    cluster = Cluster()
    removing = cluster.job("first", "Succeeded", part="Run", retention=CLEANING)
    cluster.child(removing)
    cluster.job("second")
    assert cluster.observe("second").blocker.job == "first"
    cluster.job("elsewhere", checkpoints="s3://models/other")
    assert cluster.observe("elsewhere").blocker is None
    cluster.cache.drop(JOBS, {"uid": "first-c", "namespace": "default", "labels": {f"{GROUP}/job-uid": "first"}})
    assert cluster.observe("second").blocker is None


def test_a_removal_knows_all_jobs_that_there_are_also_those_that_have_ended() -> None:
    cluster = Cluster()
    removing = cluster.job("first", "Succeeded", part="Run", retention=CLEANING)
    cluster.job("second", "Failed")
    cluster.job("elsewhere", checkpoints="s3://models/other")
    assert sorted(cluster.observe("first").known_jobs) == ["elsewhere", "first", "second"]
    assert cluster.observe("second").known_jobs == ()
    cluster.child(removing)
    assert cluster.observe("first").known_jobs == ()


def test_a_removal_waits_for_a_job_that_writes_to_the_same_destination() -> None:
    cluster = Cluster()
    writing = cluster.job("second", "Running", part="Run")
    cluster.child(writing)
    raw = {
        "metadata": {"uid": "first", "name": "first", "namespace": "default", "resourceVersion": "900"},
        "spec": {"output": {"destination": "s3://models/second"}},
        "status": {"phase": "Succeeded", "part": "Run", "retention": CLEANING},
    }
    cluster.cache.put(COMPRESSION_JOBS, raw)
    assert cluster.observe("first").blocker.job == "second"


def test_pods_of_an_ended_job_are_not_kept() -> None:
    cluster = Cluster()
    job = cluster.job("first", "Succeeded")
    metadata = {"uid": "p", "name": "p", "namespace": "default", "resourceVersion": "901"}
    metadata["labels"] = {f"{GROUP}/job-uid": job.uid}  # type: ignore[assignment]
    cluster.cache.put(PODS, {"metadata": metadata, "status": {"phase": "Succeeded"}})
    assert cluster.observe("first").pods == ()
