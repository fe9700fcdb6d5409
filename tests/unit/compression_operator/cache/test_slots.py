"""Pods that wait for a measuring slot, and jobs that are held back meanwhile."""

from typing import Any

import pytest

from compression_operator.cache.runtimes import Runtimes
from compression_operator.cache.slots import MeasuringSlots
from compression_operator.records.pod import PodRecord
from tests.support.operator.builders import ended_pod, job, pod, running_pod, runtime, stamp

NO_ROOM = (("PodScheduled", "False", "Unschedulable", "0/1 nodes are available: 1 Insufficient cpu."),)


def on(name: str) -> dict[str, str]:
    return {"compression-operator.io/runtime": name}


def waiting(name: str = "waits", slot: str = "Node", runtime: str = "cpu", **options: Any) -> PodRecord:
    return pod(name, conditions=NO_ROOM, slot=slot, annotations=on(runtime), **options)


def compressing(name: str = "works", runtime: str = "cpu") -> PodRecord:
    return running_pod(name, annotations=on(runtime))


def known(**specs: dict[str, Any]) -> Runtimes:
    runtimes = Runtimes()
    for name, spec in specs.items():
        runtimes.put(runtime(name, **({"measuring": {"isolation": "Node"}} | spec)))
    return runtimes


@pytest.fixture
def changed() -> list[str]:
    return []


@pytest.fixture
def slots(changed: list[str]) -> MeasuringSlots:
    return MeasuringSlots(changed.append)


def test_jobs_that_wait_are_counted_by_runtime(slots: MeasuringSlots) -> None:
    for seen in (
        waiting("a"), waiting("b"), waiting("c", slot="StaticCPUs", runtime="static"), waiting("d", slot=""),
        running_pod("e", slot="Node"), waiting("f", deleting=True),
    ):  # fmt: skip
        slots.note(seen)
    assert slots.waiting() == {"cpu": 2, "static": 1}
    slots.note(running_pod("a", slot="Node", annotations=on("cpu")))
    slots.drop("uid-b")
    assert slots.waiting() == {"static": 1}


def test_a_job_does_not_begin_while_another_waits_for_the_node_to_be_empty(
    slots: MeasuringSlots, changed: list[str]
) -> None:
    runtimes, record = known(cpu={}), job()
    slots.note(compressing())
    assert slots.ahead(record, runtimes) == 0
    slots.note(waiting("a"))
    slots.note(waiting("b"))
    assert slots.ahead(record, runtimes) == 2
    slots.note(running_pod("a", slot="Node", annotations=on("cpu")))
    assert changed == []
    slots.note(running_pod("b", slot="Node", annotations=on("cpu")))
    assert changed == [record.uid]
    assert slots.ahead(record, runtimes) == 0


def test_no_job_is_held_back_if_no_pod_can_make_room(slots: MeasuringSlots, changed: list[str]) -> None:
    """A pod that fits on no node at all must not stop every other job for good."""
    runtimes, record = known(cpu={}), job()
    slots.note(waiting())
    assert slots.ahead(record, runtimes) == 0
    slots.note(compressing())
    assert slots.ahead(record, runtimes) == 1
    slots.drop("uid-works")
    assert changed == [record.uid]
    assert slots.ahead(record, runtimes) == 0


@pytest.mark.parametrize(
    ("reason", "held"), [("ContainerCreating", 1), ("CreateContainerConfigError", 0), ("ImagePullBackOff", 0)]
)
def test_no_job_is_held_back_for_a_pod_that_cannot_start(slots: MeasuringSlots, reason: str, held: int) -> None:
    """It waits for a Secret or an image, perhaps for good."""
    slots.note(waiting())
    slots.note(pod("works", state={"waiting": {"reason": reason}}))
    assert slots.ahead(job(), known(cpu={})) == held


ON_A_GPU: dict[str, Any] = {"measuring": {"isolation": "GPU"}, "resources": {"limits": {"nvidia.com/gpu": "1"}}}
NO_GPU = (("PodScheduled", "False", "Unschedulable", "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."),)


def test_a_job_begins_on_a_free_gpu_while_another_waits_for_one(slots: MeasuringSlots, changed: list[str]) -> None:
    """Jobs on one node are counted by GPU: a waiting pod needs no empty node, and the scheduler knows what is free."""
    runtimes = known(cpu=ON_A_GPU)
    slots.note(running_pod("first", slot="GPU", annotations=on("cpu")))
    slots.note(running_pod("second", slot="GPU", annotations=on("cpu")))
    slots.note(pod("third", slot="GPU", annotations=on("cpu"), conditions=NO_GPU))
    assert slots.waiting() == {"cpu": 1}
    assert slots.ahead(job(), runtimes) == 0
    slots.note(running_pod("third", slot="GPU", annotations=on("cpu")))
    assert slots.waiting() == {}
    assert changed == []


def test_a_pod_on_a_gpu_keeps_a_node_from_becoming_empty(slots: MeasuringSlots) -> None:
    runtimes = known(cpu={}, fast=ON_A_GPU)
    slots.note(running_pod("on-gpu", slot="GPU", annotations=on("fast")))
    slots.note(waiting())
    assert slots.ahead(job(), runtimes) == 1


@pytest.mark.parametrize(
    ("specs", "waits", "held"),
    [
        ({"cpu": {}, "large": {}}, "large", 1),
        ({"cpu": {}, "large": {"nodeSelector": {"pool": "measuring"}}}, "large", 0),
        ({"cpu": {}, "large": {"tolerations": [{"key": "measuring", "operator": "Exists"}]}}, "large", 0),
        ({"cpu": {"measuring": {"isolation": "Shared"}}, "large": {}}, "large", 0),
        ({"cpu": {}}, "gone", 0),
    ],
)
def test_only_jobs_of_the_same_nodes_wait(slots: MeasuringSlots, specs: dict[str, Any], waits: str, held: int) -> None:
    slots.note(compressing(runtime=waits))
    slots.note(waiting(runtime=waits))
    assert slots.ahead(job(), known(**specs)) == held


def test_the_isolation_is_that_of_the_runtime_that_measures(slots: MeasuringSlots) -> None:
    slots.note(compressing())
    slots.note(waiting(runtime="large"))
    runtimes = known(cpu={"measuring": {"isolation": "Shared", "runtime": "large"}}, large={})
    assert slots.ahead(runtimes.begin(job(), None), runtimes) == 1


@pytest.mark.parametrize("changes", [{"spec__suspend": True}, {"status": {"part": "Measure"}}])
def test_a_job_that_is_held_or_measures_is_not_held_back(slots: MeasuringSlots, changes: dict[str, Any]) -> None:
    slots.note(compressing())
    slots.note(waiting())
    assert slots.ahead(job(**changes), known(cpu={})) == 0


def test_whole_cpus_need_no_empty_node(slots: MeasuringSlots) -> None:
    slots.note(compressing())
    slots.note(waiting(slot="StaticCPUs"))
    assert slots.ahead(job(), known(cpu={})) == 0


def test_slot_time_is_the_median_of_ended_pods(slots: MeasuringSlots) -> None:
    assert slots.seconds("cpu") is None
    for name, seconds in (("a", 20), ("b", 60), ("c", 30)):
        placed = (("PodScheduled", "True", "", "", stamp(10)),)
        slots.note(running_pod(name, slot="StaticCPUs", annotations=on("cpu"), conditions=placed))
        over = ended_pod(name, slot="StaticCPUs", annotations=on("cpu"), conditions=placed, end=10 + seconds)
        slots.note(over)
        slots.note(over)
    assert slots.seconds("cpu") == 30, "each counts once"
    lost = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None}}
    for state in ({"running": {}}, lost):
        slots.note(pod("e", phase="Running", slot="StaticCPUs", annotations=on("cpu"), state=state))
    assert slots.seconds("cpu") == 30, "an end that the kubelet does not know says nothing either"
    slots.note(ended_pod("d", annotations=on("cpu"), end=500))
    assert slots.seconds("cpu") == 30, "what needs no slot says nothing of it"
    assert slots.seconds("other") is None


@pytest.mark.parametrize(
    ("reason", "message", "held"),
    [
        ("Unschedulable", "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. preemption: x", 1),
        ("Unschedulable", "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {a: b}", 1),
        ("Unschedulable", 'persistentvolumeclaim "gone" not found. preemption: 0/2 nodes: 2 Insufficient cpu', 0),
        ("Unschedulable", "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.", 0),
        ("Unschedulable", "0/2 nodes are available: 2 node(s) had volume node affinity conflict.", 0),
        ("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates", 0),
    ],
)
def test_pod_that_fits_no_empty_node_holds_no_job_back(
    slots: MeasuringSlots, reason: str, message: str, held: int
) -> None:
    slots.note(compressing())
    slots.note(pod("waits", slot="Node", conditions=(("PodScheduled", "False", reason, message),)))
    assert slots.ahead(job(), known(cpu={})) == held
    assert slots.waiting()["cpu"] == held
