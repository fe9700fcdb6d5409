"""Measuring slots on a real API server: Compress, then Measure alone on a node; the tests are scheduler and kubelet."""

import pytest

from compressionjob.report import Summary
from tests.integration.operator.api import GROUP, Api, Namespace, clock, phase_is, wait_for
from tests.integration.operator.conftest import runtime
from tests.integration.operator.operators import OperatorProcess
from tests.support.manifests import job
from tests.support.operator.builders import summary

pytestmark = pytest.mark.usefixtures("operator")

NO_ROOM = "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules. preemption: none."


@pytest.fixture(scope="module")
def alone(api: Api) -> str:
    """A runtime whose jobs are measured alone on a node."""
    api.send("POST", f"{GROUP}/compressionruntimes", runtime("alone", measuring={"isolation": "Node"}))
    return "alone"


def find_no_node(namespace: Namespace, pod: str) -> None:
    """Be the scheduler that has no room for a pod."""
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NO_ROOM}
    namespace.set_pod(pod, conditions=[refused | {"lastTransitionTime": clock()}])


def test_a_job_compresses_then_measures_alone_and_the_next_begins_after_that(
    namespace: Namespace, alone: str, operator: OperatorProcess
) -> None:
    namespace.apply(job("first", spec__runtime=alone, spec__deadline="1h"))
    namespace.apply(job("second", spec__runtime=alone))
    children = wait_for("two children", lambda: children if len(children := namespace.children()) == 2 else None)
    assert {item["metadata"]["labels"]["compression-operator.io/part"] for item in children} == {"Compress"}
    assert all("affinity" not in item["spec"]["template"]["spec"] for item in children)
    pods = {
        pod["metadata"]["labels"]["compression-operator.io/job"]: pod["metadata"]["name"] for pod in namespace.pods()
    }
    for pod in pods.values():
        namespace.run_pod(pod)
    phase_is(namespace, "Running", "second")

    namespace.end_pod(pods["first"], message=Summary(part="Compress", stages_run=3).to_message())
    measuring = wait_for(
        "the pod that measures",
        lambda: next((p for p in namespace.pods() if "measure" in p["metadata"]["name"]), None),
    )
    (term,) = measuring["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert (term["topologyKey"], term["namespaceSelector"]) == ("kubernetes.io/hostname", {})
    (chosen,) = term["labelSelector"]["matchExpressions"]
    assert chosen["operator"] == "Exists"
    assert all(chosen["key"] in pod["metadata"]["labels"] for pod in namespace.pods())
    environment = {item["name"]: item for item in measuring["spec"]["containers"][0]["env"]}
    assert environment["COMPRESSION_ISOLATION"]["value"] == "Node"
    assert environment["COMPRESSION_CPUS"]["valueFrom"]["resourceFieldRef"]["resource"] == "requests.cpu"

    find_no_node(namespace, measuring["metadata"]["name"])
    wait_for(
        "it waits for a slot",
        lambda: namespace.condition("first", "Scheduled").get("reason") == "WaitingForMeasuringSlot",
    )
    text = namespace.condition("first", "Scheduled")["message"]
    assert text.startswith(
        "1 job waits for a measuring slot, this one; no time of spec.deadline passes; the scheduler:"
    )
    child = next(item for item in namespace.children() if "measure" in item["metadata"]["name"])
    assert "activeDeadlineSeconds" not in child["spec"]
    assert operator.metric('compression_operator_measuring_slot_waiting_jobs{runtime="alone"}') == 1

    namespace.apply(job("third", spec__runtime=alone))
    wait_for(
        "the third lets it go first",
        lambda: namespace.condition("third", "Scheduled").get("reason") == "MeasuringFirst",
    )
    assert len(namespace.children()) == 3
    namespace.run_pod(measuring["metadata"]["name"])
    wait_for("the third begins", lambda: len(namespace.children()) == 4)
    namespace.end_pod(measuring["metadata"]["name"], message=summary("Pass"))
    phase_is(namespace, "Succeeded", "first")


def test_started_job_keeps_its_pod_after_a_runtime_change(namespace: Namespace, api: Api) -> None:
    api.send("POST", f"{GROUP}/compressionruntimes", runtime("edited"))
    namespace.apply(job(spec__runtime="edited"))
    pod = namespace.pod()
    namespace.run_pod(pod)
    phase_is(namespace, "Running")
    api.patch(f"{GROUP}/compressionruntimes/edited", {"spec": {"measuring": {"isolation": "Node"}}})
    namespace.end_pod(pod, message=summary("Pass"))
    phase_is(namespace, "Succeeded")
    (child,) = namespace.children()
    assert child["metadata"]["labels"]["compression-operator.io/part"] == "Run"


def test_retry_gets_the_rest_of_the_deadline(namespace: Namespace, api: Api) -> None:
    """Kubernetes counts from the start of the Job, so what is left must not be its clock before the pod has a node."""
    guaranteed = {"cpu": "1", "memory": "1Gi"}
    whole = {"resources": {"requests": guaranteed, "limits": guaranteed}, "measuring": {"isolation": "StaticCPUs"}}
    api.send("POST", f"{GROUP}/compressionruntimes", runtime("whole", **whole))
    namespace.apply(job(spec__runtime="whole", spec__deadline="20s", spec__retries=1))
    first = namespace.pod()
    namespace.run_pod(first)
    phase_is(namespace, "Running")
    namespace.end_pod(first, code=1)
    second = namespace.pod(other_than=first)  # ten seconds later, of the twenty
    wait_for("no clock runs", lambda: "activeDeadlineSeconds" not in namespace.child()["spec"])
    namespace.run_pod(second)
    wait_for("the clock runs", lambda: namespace.child()["spec"].get("activeDeadlineSeconds", 0) > 20 - 2)
    namespace.end_pod(second, message=summary("Pass"))
    phase_is(namespace, "Succeeded")
