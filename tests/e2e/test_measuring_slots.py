"""Measuring slots on a real kubelet and scheduler: measuring pods share no CPU, and waiting jobs report it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.harness import Job, Namespace, wait_for
from tests.e2e.jobs import minilm_job, tiny_job

QUALITY = {"quality": {"metric": "cosine", "maxDrop": "0.2"}}
AFFINITY = "import json, os; print(json.dumps(sorted(os.sched_getaffinity(0))))"

Submit = Callable[[dict[str, Any]], Job]


def cpus_of(job: Job) -> set[int]:
    """Return the CPUs of the job's running pod, from the affinity of a process in it."""
    words = job.namespace("exec", job.running_pod(), "--", "/usr/bin/python3", "-c", AFFINITY)
    return set(json.loads(words))


def test_jobs_with_whole_cpus_never_share_one_and_the_next_waits_visibly(submit: Submit) -> None:
    first = submit(tiny_job("slot-a", spec__runtime="cpu", spec__sla=QUALITY))
    second = submit(tiny_job("slot-b", spec__runtime="cpu", spec__sla=QUALITY))

    def settled() -> bool:
        reasons = [job.condition("Scheduled").get("reason") for job in (first, second)]
        return set(reasons) <= {"PodScheduled", "WaitingForMeasuringSlot"} and "PodScheduled" in reasons

    wait_for("each has a slot or waits for one", settled)
    waiting = [job for job in (first, second) if job.condition("Scheduled")["reason"] == "WaitingForMeasuringSlot"]
    running = [job for job in (first, second) if job not in waiting]
    taken = [cpus_of(job) for job in running]
    assert all(len(cpus) == 1 for cpus in taken), taken
    assert len(set.union(*taken)) == len(running), taken
    for job in waiting:
        said = job.condition("Scheduled")["message"]
        assert said.startswith("1 job waits for a measuring slot, this one; no time of spec.deadline passes;"), said
        assert job.status["phase"] == "Pending"
    for job in (first, second):
        job.wait_phase("Succeeded")


@pytest.fixture
def alone(namespace: Namespace) -> Iterator[str]:
    """Return the shared runtime with isolation Node."""
    runtime = namespace.kubectl.read("get", "cprt", "cpu-shared")
    spec = runtime["spec"] | {"measuring": {"isolation": "Node"}}
    namespace.apply(
        {key: runtime[key] for key in ("apiVersion", "kind")} | {"metadata": {"name": "alone"}, "spec": spec}
    )
    yield "alone"
    namespace.kubectl.run("delete", "cprt", "alone")


def test_a_job_that_is_measured_alone_waits_until_its_node_is_empty(
    namespace: Namespace, submit: Submit, alone: str
) -> None:
    job = submit(tiny_job("alone", spec__runtime=alone, spec__sla=QUALITY))
    other = submit(minilm_job("beside"))
    other.running_pod()
    waiting = job.wait_condition("Scheduled", "False", "WaitingForMeasuringSlot", "anti-affinity", seconds=240)
    assert waiting["message"].startswith("1 job waits for a measuring slot, this one; ")
    assert {part(pod): pod["status"]["phase"] for pod in job.pods()} == {"Compress": "Succeeded", "Measure": "Pending"}
    assert other.status["phase"] == "Running"
    namespace("delete", "cpj", other.name, "--wait=false")
    job.wait_phase("Succeeded")
    assert {part(pod): pod["status"]["phase"] for pod in job.pods()} == {
        "Compress": "Succeeded",
        "Measure": "Succeeded",
    }


def part(pod: dict[str, Any]) -> str:
    """Return the part of the job that a pod runs."""
    label: str = pod["metadata"]["labels"]["compression-operator.io/part"]
    return label
