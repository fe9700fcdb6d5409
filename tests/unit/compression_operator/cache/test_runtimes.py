"""The first part and the measuring runtime of a job, which are fixed when it begins."""

from typing import Any

import pytest

from compression_operator.cache.cache import Cache
from compression_operator.cache.observed_job import ObservedJob
from compression_operator.cluster.resources import COMPRESSION_JOBS, JOBS, RUNTIMES
from tests.support.operator.builders import CHILD_UID, UID
from tests.support.operator.raw import raw_child, raw_runtime, versioned_job

ALONE = {"isolation": "Node"}
SHARED = {"isolation": "Shared"}


def labelled(part: str, version: int = 200) -> dict[str, Any]:
    raw = raw_child(version)
    raw["metadata"]["labels"] = raw["metadata"]["labels"] | {"compression-operator.io/part": part}
    return raw


def filled(cache: Cache | None = None, **runtimes: dict[str, Any]) -> Cache:
    cache = cache or Cache(lambda _: None, children_protected=True)
    for number, (name, measuring) in enumerate(runtimes.items()):
        cache.put(RUNTIMES, raw_runtime(name, uid=f"r-{number}", measuring=measuring))
    return cache


def seen(cache: Cache) -> ObservedJob:
    observed = cache.observe(UID)
    assert observed is not None
    return observed


@pytest.mark.parametrize(
    ("cpu", "quiet", "sla", "part", "measuring"),
    [
        (SHARED, SHARED, "", "Run", "cpu"),
        ({"isolation": "Shared", "runtime": "quiet"}, SHARED, "", "Compress", "quiet"),
        ({"isolation": "Node", "runtime": "quiet"}, ALONE, "", "Compress", "quiet"),
        ({"isolation": "Shared", "runtime": "quiet"}, SHARED, "cpu", "Run", "cpu"),
        (ALONE, SHARED, "", "Compress", "cpu"),
        (ALONE, SHARED, "quiet", "Compress", "quiet"),
        ({"isolation": "Node", "runtime": "cpu"}, SHARED, "", "Compress", "cpu"),
    ],
)
def test_runtime_determines_parts_and_measuring_runtime(
    cpu: dict[str, Any], quiet: dict[str, Any], sla: str, part: str, measuring: str
) -> None:
    cache = filled(cpu=cpu, quiet=quiet)
    cache.put(COMPRESSION_JOBS, versioned_job(100, **({"spec__sla__runtime": sla} if sla else {})))
    observed = seen(cache)
    assert (observed.job.part, observed.job.measuring_runtime) == (part, measuring)
    assert observed.measuring_runtime is not None
    assert observed.measuring_runtime.name == measuring


def test_a_job_on_a_gpu_of_its_own_needs_no_second_pod() -> None:
    cache = filled()
    limits = {"limits": {"nvidia.com/gpu": "1"}}
    cache.put(RUNTIMES, raw_runtime("cpu", uid="r-gpu", measuring={"isolation": "GPU"}, resources=limits))
    cache.put(COMPRESSION_JOBS, versioned_job(100))
    assert (seen(cache).job.part, seen(cache).job.measuring_runtime) == ("Run", "cpu")


@pytest.mark.parametrize("part", ["", "Run"])
def test_job_with_a_single_child_keeps_it(part: str) -> None:
    """An operator before measuring slots created it, or the runtime was edited: no second child, no other part."""
    cache = filled(cpu={"isolation": "Node", "runtime": "quiet"}, quiet=ALONE)
    child = {"childJob": {"name": "x", "uid": CHILD_UID}}
    cache.put(COMPRESSION_JOBS, versioned_job(100, status=child | ({"part": part} if part else {})))
    cache.put(JOBS, labelled("Run"))
    observed = seen(cache)
    assert observed.child is not None
    assert (observed.job.part, observed.job.measuring_runtime) == ("Run", "cpu")


def test_a_job_whose_stages_have_their_own_child_is_measured_in_another() -> None:
    cache = filled(cpu=SHARED)
    cache.put(COMPRESSION_JOBS, versioned_job(100))
    cache.put(JOBS, labelled("Compress"))
    observed = seen(cache)
    assert observed.child is not None
    assert observed.job.part == "Compress"


def test_measuring_runtime_of_a_started_job_does_not_change() -> None:
    cache = filled(cpu={"isolation": "Node", "runtime": "other"}, quiet=ALONE)
    cache.put(COMPRESSION_JOBS, versioned_job(100, status={"part": "Measure", "measuringRuntime": "quiet"}))
    observed = seen(cache)
    assert (observed.job.part, observed.job.present_runtime) == ("Measure", "quiet")


def test_new_measuring_runtime_reconciles_its_jobs() -> None:
    changed: list[str] = []
    cache = filled(Cache(changed.append), cpu={"isolation": "Node", "runtime": "quiet"})
    cache.put(COMPRESSION_JOBS, versioned_job(100))
    del changed[:]
    filled(cache, another=ALONE)
    assert changed == []
    cache.put(RUNTIMES, raw_runtime("quiet", uid="r-9", measuring=ALONE))
    assert changed == [UID]


def test_a_job_that_is_gone_is_forgotten_wherever_it_was_measured() -> None:
    """Older CRDs may drop the runtime from its status, and the job is gone before that runtime changes."""
    cache = filled(cpu=ALONE, quiet=ALONE)
    cache.put(COMPRESSION_JOBS, versioned_job(100, status={"part": "Compress", "measuringRuntime": "quiet"}))
    cache.put(COMPRESSION_JOBS, versioned_job(101, status={"part": "Compress"}))
    cache.drop(COMPRESSION_JOBS, {"uid": UID})
    cache.put(RUNTIMES, raw_runtime("quiet", version=8, uid="r-1", measuring=SHARED))
    known = cache.runtime("quiet")
    assert known is not None
    assert known.measuring.isolation == "Shared"
