"""The operator ignores forged objects, and no two pods write to one destination at a time."""

from typing import Any

import pytest

from tests.integration.operator.api import GROUP, Namespace, phase_is, wait_for
from tests.integration.operator.conftest import runtime
from tests.support.manifests import job
from tests.support.operator.builders import summary

pytestmark = pytest.mark.usefixtures("operator")

CHILDREN_PROTECTED = False
NAME = "minilm-int8"
LINGERS = "compression-operator.io/test"
"""A finalizer that stands for the time that a pod takes to end."""


def scheduled(namespace: Namespace, name: str, reason: str) -> dict[str, Any]:
    """The condition Scheduled of a job once it has this reason."""

    def look() -> dict[str, Any] | None:
        condition = namespace.condition(name, "Scheduled")
        return condition if condition.get("reason") == reason else None

    return wait_for(f"{name} is {reason}", look)


def finish(namespace: Namespace, pod: str, **fields: Any) -> None:
    namespace.run_pod(pod)
    namespace.end_pod(pod, message=summary("Pass", **fields))


def pods_of(namespace: Namespace, name: str) -> list[str]:
    pods = namespace.pods()
    label = "compression-operator.io/job"
    return [pod["metadata"]["name"] for pod in pods if pod["metadata"]["labels"].get(label) == name]


def linger(namespace: Namespace, pod: str, *finalizers: str) -> None:
    namespace.api.patch(namespace.path("pods", pod), {"metadata": {"finalizers": list(finalizers) or None}})


def test_jobs_with_one_destination_run_one_after_the_other(namespace: Namespace) -> None:
    place = f"s3://models/{namespace.name}/shared"
    namespace.apply(job("first", spec__output__destination=place))
    pod = namespace.pod()
    namespace.run_pod(pod)
    namespace.apply(job("second", spec__output__destination=f"{place}/inside"))
    waits = scheduled(namespace, "second", "DestinationInUse")
    assert "pods of the CompressionJob first may write there" in waits["message"]
    assert phase_is(namespace, "Pending", "second")
    assert not pods_of(namespace, "second")
    namespace.end_pod(pod, message=summary("Pass"))
    (following,) = wait_for("a pod of the second", lambda: pods_of(namespace, "second"))
    finish(namespace, following)
    phase_is(namespace, "Succeeded", "second")
    assert namespace.status("first")["phase"] == "Succeeded"


def test_reapplied_job_waits_for_the_earlier_pod(namespace: Namespace) -> None:
    uid = namespace.apply(job())["metadata"]["uid"]
    pod = namespace.pod()
    namespace.run_pod(pod)
    linger(namespace, pod, LINGERS)
    namespace.api.send("DELETE", namespace.path("cpj", NAME))
    wait_for("its Job is gone", lambda: not namespace.children())
    assert namespace.apply(job())["metadata"]["uid"] != uid
    scheduled(namespace, NAME, "DestinationInUse")
    assert not namespace.children()
    linger(namespace, pod)
    finish(namespace, namespace.pod(other_than=pod))
    phase_is(namespace, "Succeeded")


def test_job_waits_for_an_orphaned_pod(namespace: Namespace) -> None:
    namespace.apply(job())
    pod = namespace.pod()
    namespace.run_pod(pod)
    phase_is(namespace, "Running")
    name = namespace.child()["metadata"]["name"]
    namespace.api.send("DELETE", namespace.path("jobs", name), {"propagationPolicy": "Orphan"})
    left = scheduled(namespace, NAME, "PodsLeft")
    assert f"kubectl delete pod {pod}" in left["message"]
    wait_for("the Job is gone, and no other comes", lambda: not namespace.children())  # the garbage collector lets go
    namespace.end_pod(pod, message=summary("Pass", digest="sha256:" + "a" * 64))
    finish(namespace, namespace.pod(other_than=pod))
    status = phase_is(namespace, "Succeeded")
    assert (status["childrenCreated"], status["retries"], status.get("digest")) == (2, 1, None)


def test_forged_child_job_is_deleted(namespace: Namespace) -> None:
    made = namespace.apply(job(spec__runtime=f"late-{namespace.name}"))["metadata"]
    wait_for("it waits", lambda: namespace.condition(NAME, "Accepted").get("reason") == "RuntimeNotFound")
    labels = {
        "compression-operator.io/job": NAME,
        "compression-operator.io/job-uid": made["uid"],
        "compression-operator.io/part": "Run",
    }
    owner = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionJob", "controller": True}
    container = {"name": "runner", "image": "forged:1"}
    forged = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{NAME}-{made['uid'][:8]}",
            "labels": labels,
            "ownerReferences": [owner | {"name": NAME, "uid": made["uid"]}],
        },
        "spec": {
            "template": {
                "metadata": {"labels": labels},
                "spec": {"restartPolicy": "Never", "containers": [container]},
            }
        },
    }
    uid = namespace.api.send("POST", namespace.path("jobs"), forged)["metadata"]["uid"]
    pod = namespace.pod()
    finish(namespace, pod, digest="sha256:" + "f" * 64)
    namespace.api.send("POST", f"{GROUP}/compressionruntimes", runtime(f"late-{namespace.name}"))

    def own() -> dict[str, Any] | None:
        return next((child for child in namespace.children() if child["metadata"]["uid"] != uid), None)

    child = wait_for("a Job of the operator", own)
    assert child["spec"]["template"]["spec"]["containers"][0]["image"] == "runner:1"
    wait_for("the Event is recorded", lambda: "StrangerDeleted" in namespace.event_reasons())
    finish(namespace, namespace.pod(other_than=pod), digest="sha256:" + "a" * 64)
    status = phase_is(namespace, "Succeeded")
    assert status["digest"] == "sha256:" + "a" * 64
    assert status["childJob"]["uid"] == child["metadata"]["uid"]


def test_verdict_of_a_vanished_pod_is_measured_again(namespace: Namespace) -> None:
    namespace.apply(job())
    pod = namespace.pod()
    namespace.run_pod(pod)
    namespace.end_pod(pod)
    names = wait_for("a second Job", lambda: {child["metadata"]["name"] for child in namespace.children()[1:]})
    assert [name.removesuffix("-measure-1") != name for name in names] == [True]
    finish(namespace, namespace.pod(other_than=pod))
    status = phase_is(namespace, "Succeeded")
    assert (status["retries"], status["restarts"], status["verdict"]) == (1, 1, "Pass")
