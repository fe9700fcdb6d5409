"""Devices: a GPU that a pod waits for."""

from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import localcluster
from tests.e2e.harness import Job
from tests.e2e.jobs import tiny_job

Submit = Callable[[dict[str, Any]], Job]


def test_a_job_that_waits_for_a_gpu_has_the_schedulers_message(submit: Submit) -> None:
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
