"""Gauges from the cache: oldest jobs, running jobs by runtime, stalled jobs."""

from typing import Any

from compression_operator.cache.cache import Cache
from compression_operator.cluster.resources import COMPRESSION_JOBS, PODS, RUNTIMES
from compression_operator.telemetry.fleet import FleetSeries
from tests.support.operator.builders import NOW, UID, stamp
from tests.support.operator.raw import raw_pod, raw_runtime, versioned_job

RESOURCES = {"requests": {"cpu": "500m"}, "limits": {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": "1"}}


def standing(number: int, phase: str, reason: str, since: float, **fields: Any) -> dict[str, Any]:
    """A job whose newest condition changed ``since`` seconds after NOW."""
    conditions = [
        {"type": "Accepted", "status": "True", "reason": "Valid", "lastTransitionTime": stamp(-10_000)},
        {"type": "Scheduled", "status": "False", "reason": reason, "lastTransitionTime": stamp(since)},
    ]
    raw = versioned_job(number, status={"phase": phase, "conditions": conditions}, **fields)
    raw["metadata"]["uid"] = f"{UID}-{number}"
    return raw


def gauges(*jobs: dict[str, Any], progress_times: dict[str, float] | None = None) -> dict[tuple[str, ...], float]:
    """Name and labels -> value, a minute after NOW."""
    cache = Cache(lambda _: None)
    cache.put(RUNTIMES, raw_runtime(resources=RESOURCES))
    for raw in jobs:
        cache.put(COMPRESSION_JOBS, raw)
    series = FleetSeries(cache, lambda: progress_times or {}, now=lambda: NOW.timestamp() + 60)
    return {
        (family.name.removeprefix("compression_operator_"), *sample.labels.values()): sample.value
        for family in series.collect()
        for sample in family.samples
    }


def test_age_of_the_oldest_job_by_phase_and_reason() -> None:
    values = gauges(
        standing(1, "Pending", "Unschedulable", -100),
        standing(2, "Pending", "Unschedulable", -300),
        standing(3, "Pending", "Queued", -5),
        standing(4, "Succeeded", "", -9000),
    )
    assert values == {
        ("oldest_job_seconds", "Pending", "Unschedulable"): 360,
        ("oldest_job_seconds", "Pending", "Queued"): 65,
    }


def test_jobs_that_wait_for_a_measuring_slot_are_counted_by_runtime() -> None:
    """Missing runtimes share one label: any user who creates pods may write any name into them."""
    cache = Cache(lambda _: None)
    for number, (name, isolation) in enumerate([("alone", "Node"), ("quiet", "Node"), ("any", "Shared")]):
        cache.put(RUNTIMES, raw_runtime(name, uid=f"r-{number}", measuring={"isolation": isolation}))
    for name, runtime in (("a", "alone"), ("b", "alone"), ("c", "gone-1"), ("d", "gone-2")):
        waits = raw_pod(name, running=False)
        waits["metadata"]["annotations"] = {
            "compression-operator.io/measuring-slot": "Node",
            "compression-operator.io/runtime": runtime,
        }
        waits["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]
        cache.put(PODS, waits)
    families = {family.name: family for family in FleetSeries(cache, dict).collect()}
    samples = families["compression_operator_measuring_slot_waiting_jobs"].samples
    assert {sample.labels["runtime"]: sample.value for sample in samples} == {"alone": 2, "quiet": 0, "unknown": 2}


def test_unobserved_job_waits_since_its_creation() -> None:
    assert gauges(versioned_job(1)) == {("oldest_job_seconds", "Pending", ""): 60}


def test_running_jobs_and_their_resources_are_counted_by_runtime() -> None:
    running = [standing(number, "Running", "", 0) for number in (1, 2)]
    nowhere = [standing(number, "Running", "", 0, spec__runtime=f"gone-{number}") for number in (3, 4)]
    values = gauges(*running, *nowhere)
    assert {key[1:]: value for key, value in values.items() if key[0].startswith("runtime")} == {
        ("cpu",): 2,
        ("unknown",): 2,
        ("cpu", "cpu"): 1.0,
        ("cpu", "memory"): 2 * 1024**3,
        ("cpu", "nvidia.com/gpu"): 2,
    }


def test_last_progress_is_labelled_with_the_job() -> None:
    job = standing(1, "Running", "", 0)
    values = gauges(job, progress_times={job["metadata"]["uid"]: 123.0, "gone": 5.0})
    assert values["job_last_progress_timestamp_seconds", "default", "minilm-int8"] == 123.0
    assert len([key for key in values if key[0] == "job_last_progress_timestamp_seconds"]) == 1
