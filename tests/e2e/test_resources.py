"""Memory and devices: a real OOM kill, and a GPU that a pod waits for."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import localcluster
from tests.e2e.harness import Job, Namespace
from tests.e2e.jobs import minilm_job, tiny_job

Submit = Callable[[dict[str, Any]], Job]


@pytest.fixture
def small_runtime(namespace: Namespace) -> Iterator[str]:
    """The cpu runtime with more memory than the forecast insists on, and less than the export of MiniLM takes."""
    runtime = namespace.kubectl.read("get", "cprt", "cpu")
    spec = runtime["spec"]
    spec["resources"] = {"requests": {"memory": "700Mi"}, "limits": {"memory": "700Mi"}}
    manifest = {key: runtime[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": "small"}, "spec": spec}
    namespace.apply(manifest)
    yield "small"
    namespace.kubectl.run("delete", "cprt", "small")


def test_out_of_memory_is_said_with_its_limit_and_not_tried_again(submit: Submit, small_runtime: str) -> None:
    job = submit(minilm_job("hungry", spec__runtime=small_runtime))
    job.wait_phase("Failed")
    failed = job.condition("Failed")
    assert failed["reason"] == "OutOfMemory"
    assert "700Mi" in failed["message"]
    (pod,) = job.pods()
    terminated = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert terminated["reason"] == "OOMKilled"
    assert terminated["exitCode"] == 137


def test_a_job_waits_for_a_gpu_in_the_schedulers_own_words(submit: Submit) -> None:
    localcluster("gpu", "0")
    job = submit(tiny_job("gpu", spec__runtime="nvidia-gpu"))
    scheduled = job.wait_condition("Scheduled", "False", "Unschedulable")
    assert "Insufficient nvidia.com/gpu" in scheduled["message"]
    assert job.status["phase"] == "Pending"
    localcluster("gpu", "1")
    try:
        job.wait_condition("Scheduled", "True")
        job.wait_phase("Succeeded")
    finally:
        localcluster("gpu", "0")
