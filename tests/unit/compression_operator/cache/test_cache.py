"""The cache ignores older versions, joins jobs with their objects, and drops objects of ended jobs."""

from compression_operator.cache.cache import Cache
from compression_operator.cache.forecasts import split_forecast
from compression_operator.cluster.resources import COMPRESSION_JOBS, JOBS, PODS, RUNTIMES
from compressionjob.report import Progress, Remaining
from tests.support.operator.builders import CHILD_UID, UID, after
from tests.support.operator.raw import LABELS, raw_child, raw_pod, raw_runtime, versioned_job


def filled() -> tuple[Cache, list[str]]:
    changed: list[str] = []
    cache = Cache(changed.append, children_protected=True)
    cache.put(RUNTIMES, raw_runtime())
    cache.put(COMPRESSION_JOBS, versioned_job(100))
    cache.put(JOBS, raw_child())
    cache.put(PODS, raw_pod())
    return cache, changed


def test_observe_joins_job_child_and_pods() -> None:
    cache, changed = filled()
    observed = cache.observe(UID)
    assert observed is not None
    assert observed.runtime is not None
    assert observed.child is not None
    assert [pod.name for pod in observed.pods] == ["pod-a"]
    assert changed == [UID, UID, UID]
    assert cache.observe("missing") is None


def test_older_events_are_ignored() -> None:
    cache, changed = filled()
    del changed[:]
    cache.put(COMPRESSION_JOBS, versioned_job(99, status={"phase": "Failed"}))
    cache.put(COMPRESSION_JOBS, versioned_job(100, status={"phase": "Failed"}))
    cache.put(JOBS, raw_child(version=199, active=1))
    cache.put(PODS, raw_pod(version=300, running=False))
    observed = cache.observe(UID)
    assert observed is not None
    assert observed.child is not None
    assert (observed.job.phase, observed.child.active, observed.pods[0].running) == ("Pending", 0, True)
    assert changed == []


def test_own_writes_trigger_no_reconcile() -> None:
    cache, changed = filled()
    del changed[:]
    cache.put(COMPRESSION_JOBS, versioned_job(101, status={"phase": "Running"}), own_write=True)
    job = cache.job(UID)
    assert job is not None
    assert job.phase == "Running"
    assert changed == []


def test_job_dropped_by_a_resync_releases_its_namespace() -> None:
    released: list[str] = []
    cache = Cache(lambda _: None, released.append)
    cache.put(COMPRESSION_JOBS, versioned_job(100))
    cache.put(JOBS, raw_child())
    for _, metadata in cache.versions(JOBS).values():
        cache.drop(JOBS, metadata)
    assert released == ["default"]


def test_only_the_record_of_an_ended_job_is_kept() -> None:
    cache, _ = filled()
    cache.put(COMPRESSION_JOBS, versioned_job(101, status={"phase": "Succeeded"}))
    cache.put(JOBS, raw_child(version=500))
    cache.put(PODS, raw_pod(version=500))
    observed = cache.observe(UID)
    assert observed is not None
    assert (observed.child, observed.pods) == (None, ())
    assert observed.job.spec_json == b""
    assert cache.knows(PODS, {"uid": "x", "resourceVersion": "900", "labels": LABELS})
    # What it has left behind may still write, until it has ended.
    assert (list(cache.versions(JOBS)), list(cache.versions(PODS))) == ([CHILD_UID], ["uid-pod-a"])
    cache.put(JOBS, raw_child(version=501, conditions=[{"type": "Complete", "status": "True"}]))
    cache.drop(PODS, {"uid": "uid-pod-a", "labels": LABELS})
    assert cache.versions(JOBS) == {}


def test_label_without_owner_reference_is_ignored() -> None:
    cache, _ = filled()
    cache.put(PODS, raw_pod("forged", owner="other"))
    cache.put(PODS, raw_pod("elsewhere", namespace="other"))
    observed = cache.observe(UID)
    assert observed is not None
    assert [pod.name for pod in observed.pods] == ["pod-a"]
    cache.put(JOBS, raw_child(version=201, owner="other"))
    observed = cache.observe(UID)
    assert observed is not None
    assert (observed.child, observed.pods) == (None, ())


def test_a_deleted_job_does_not_come_back() -> None:
    cache, changed = filled()
    cache.drop(COMPRESSION_JOBS, {"uid": UID})
    assert cache.observe(UID) is None
    cache.put(COMPRESSION_JOBS, versioned_job(900))
    assert cache.observe(UID) is None
    assert cache.uids() == []
    assert cache.tally() == {}
    assert changed[-1] == UID


def test_drop_reconciles_the_owner() -> None:
    cache, changed = filled()
    del changed[:]
    cache.drop(PODS, {"uid": "uid-pod-a", "labels": LABELS})
    cache.drop(JOBS, {"uid": CHILD_UID, "labels": LABELS})
    cache.drop(JOBS, {"uid": CHILD_UID, "labels": LABELS})
    assert changed == [UID, UID]


def test_new_runtime_reconciles_only_waiting_jobs() -> None:
    changed: list[str] = []
    cache = Cache(changed.append, children_protected=True)
    cache.put(COMPRESSION_JOBS, versioned_job(100))
    cache.put(RUNTIMES, raw_runtime("other"))
    assert changed == [UID]
    cache.put(RUNTIMES, raw_runtime("cpu"))
    assert changed == [UID, UID]
    cache.put(JOBS, raw_child())
    cache.put(RUNTIMES, raw_runtime("cpu", version=8))
    assert changed == [UID, UID, UID]


def test_recreated_runtime_replaces_the_old_one() -> None:
    cache, _ = filled()
    cache.drop(RUNTIMES, {"uid": "r-1", "name": "cpu"})
    cache.put(RUNTIMES, raw_runtime(uid="r-2", version=9))
    cache.drop(RUNTIMES, {"uid": "r-1", "name": "cpu"})
    observed = cache.observe(UID)
    assert observed is not None
    assert observed.runtime is not None
    assert observed.runtime.uid == "r-2"


def test_jobs_are_tallied_by_phase_and_reason() -> None:
    cache, _ = filled()
    assert cache.tally() == {("Pending", ""): 1}
    failed = {"type": "Failed", "status": "True", "reason": "OutOfMemory"}
    cache.put(COMPRESSION_JOBS, versioned_job(101, status={"phase": "Failed", "conditions": [failed]}))
    assert cache.tally() == {("Failed", "OutOfMemory"): 1}


def test_progress_reconciles_only_when_it_changes() -> None:
    cache, changed = filled()
    del changed[:]
    cache.put_progress(UID, Progress(stage="prune", fraction=0.1))
    cache.put_progress(UID, Progress(stage="prune", fraction=0.1))
    cache.put_progress("missing", Progress(stage="prune", fraction=0.1))
    assert changed == [UID]
    pod = cache.running_pod(UID)
    assert pod is not None
    assert pod.ip == "127.0.0.1"


def test_estimate_alone_is_no_progress() -> None:
    cache, changed = filled()
    del changed[:]
    got_on = [
        cache.put_progress(UID, Progress(stage="export", fraction=0.1, estimate=estimate))
        for estimate in (0.1, 0.104, 0.2, 0.204)
    ]
    assert got_on == [True, False, False, False]
    assert changed == [UID, UID]


def test_forecast_reconciles_after_a_large_change() -> None:
    cache, changed = filled()
    progress = Progress(stage="prune", fraction=0.1)

    def report(seconds: float, remaining: float) -> int:
        answer = progress.model_copy(update={"remaining": Remaining(seconds=remaining)})
        cache.put_progress(UID, *split_forecast(answer, "uid-pod-a", after(seconds)))
        return len(changed)

    first = report(0, 600)
    assert report(10, 590) == first
    assert report(20, 600) == first
    observed = cache.observe(UID)
    assert observed is not None
    assert observed.finish == after(620)
    assert report(30, 700) == first + 1
    cache.put(PODS, raw_pod(version=301, running=False))
    observed = cache.observe(UID)
    assert observed is not None
    assert observed.finish is None
