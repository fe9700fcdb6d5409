"""The CPUs of a measurement: one of each core, within affinity, quota and reservation."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from compression_runner.errors import InvalidInput
from compression_runner.evaluation.machine.cpus import (
    CpuReservation,
    Isolation,
    MeasuringCpus,
    choose_cpus,
    cpu_cores,
    cpu_list,
    parse_cpu_list,
    require_exclusive,
    usable_cpus,
)
from compression_runner.evaluation.machine.description import machine
from compressionjob.report import Environment

HYPERTHREADS = {0: "0,4", 1: "1,5", 2: "2,6", 3: "3,7", 4: "0,4", 5: "1,5", 6: "2,6", 7: "3,7"}
"""Four cores of two threads each, numbered as on most servers."""
NEIGHBOURS = {0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"}
"""Two cores of two threads each, numbered as in many virtual machines."""
UNRESERVED = CpuReservation()


class Host:
    """A machine with this topology and cgroup, whose process may use some of its CPUs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._cgroup, self._topology, self._patch = folder / "cgroup", folder / "cpu", monkeypatch
        self._cgroup.mkdir()

    def has(self, siblings: Mapping[int, str], allowed: set[int] | None = None, quota: str = "max 100000") -> None:
        for cpu, listed in siblings.items():
            place = self._topology / f"cpu{cpu}" / "topology"
            place.mkdir(parents=True, exist_ok=True)
            (place / "thread_siblings_list").write_text(f"{listed}\n")
        (self._cgroup / "cpu.max").write_text(f"{quota}\n")
        mine = set(siblings) if allowed is None else allowed
        self._patch.setattr(os, "sched_getaffinity", lambda thread: mine)

    def choose(self, threads: int | None = None, reservation: CpuReservation = UNRESERVED) -> MeasuringCpus:
        return choose_cpus(threads, reservation, self._cgroup, self._topology)

    def usable(self) -> int:
        return usable_cpus(self._cgroup)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("siblings", "allowed", "quota", "expected"),
    [
        (HYPERTHREADS, None, "max 100000", (0, 1, 2, 3)),
        (NEIGHBOURS, None, "max 100000", (0, 2)),
        (NEIGHBOURS, {1, 2, 3}, "max 100000", (1, 2)),
        (HYPERTHREADS, None, "200000 100000", (0, 1)),
        (HYPERTHREADS, None, "250000 100000", (0, 1)),
        (HYPERTHREADS, None, "50000 100000", (0,)),
        (HYPERTHREADS, None, "800000 100000", (0, 1, 2, 3)),
        (HYPERTHREADS, {3, 7}, "max 100000", (3,)),
    ],
)
def test_one_cpu_of_each_core_is_chosen_within_the_quota(
    host: Host, siblings: Mapping[int, str], allowed: set[int] | None, quota: str, expected: tuple[int, ...]
) -> None:
    host.has(siblings, allowed, quota)
    chosen = host.choose()
    assert chosen.numbers == expected
    assert chosen.threads == len(expected)
    assert chosen.notes == ()


def test_without_a_topology_each_cpu_is_a_core(tmp_path: Path) -> None:
    assert cpu_cores({2, 0, 1}, tmp_path) == [(0,), (1,), (2,)]


def test_fewer_threads_take_fewer_cpus(host: Host) -> None:
    host.has(HYPERTHREADS)
    assert host.choose(3).numbers == (0, 1, 2)


def test_more_threads_than_cores_are_measured_with_a_note(host: Host) -> None:
    host.has(NEIGHBOURS)
    chosen = host.choose(3, CpuReservation("Turns"))
    assert (chosen.numbers, chosen.threads) == ((0, 1, 2), 3)
    assert "spec.benchmark.threads is 3, and 2 CPUs can be measured with" in chosen.notes[0]
    assert host.choose(9).numbers == (0, 1, 2, 3)


@pytest.mark.parametrize("isolation", ["StaticCPUs", "Node"])
def test_more_threads_than_reserved_cpus_are_refused(host: Host, isolation: Isolation) -> None:
    host.has(HYPERTHREADS)
    reservation = CpuReservation(isolation, cpus=2)
    assert host.choose(None, reservation).numbers == (0, 1)
    with pytest.raises(InvalidInput, match=r"spec\.benchmark\.threads: '3': only 2 CPUs.*set it to 2 at most"):
        host.choose(3, reservation)


def test_reserved_hyperthreads_of_one_core_count_once(host: Host) -> None:
    host.has(HYPERTHREADS, allowed={1, 5})
    with pytest.raises(InvalidInput, match="only 1 CPU can"):
        host.choose(2, CpuReservation("StaticCPUs", cpus=2))


def test_pods_without_isolation_are_not_pinned(host: Host) -> None:
    host.has(HYPERTHREADS, quota="200000 100000")
    assert not host.choose().pins
    assert host.choose(None, CpuReservation("Node", cpus=2)).pins
    assert host.choose(None, CpuReservation("Turns")).pins
    host.has(HYPERTHREADS)
    assert host.choose().pins, "it uses every core in any case"


def test_exclusive_cpus_must_equal_the_request(host: Host) -> None:
    host.has(HYPERTHREADS, allowed={1, 5})
    require_exclusive(CpuReservation("StaticCPUs", cpus=2), "spec.runtime")
    host.has(HYPERTHREADS)
    require_exclusive(CpuReservation("StaticCPUs", cpus=8), "spec.runtime")
    require_exclusive(CpuReservation("Node", cpus=2), "spec.runtime")
    with pytest.raises(InvalidInput) as caught:
        require_exclusive(CpuReservation("StaticCPUs", cpus=2), "spec.runtime")
    assert caught.value.field == "spec.runtime"
    assert "the node's kubelet gave a cpuset of 8 CPUs, and 2 must be exclusive" in caught.value.problem
    assert "cpuManagerPolicy: static" in caught.value.remedy


def test_usable_cpus_are_within_affinity_and_quota(host: Host) -> None:
    assert 1 <= usable_cpus() <= len(os.sched_getaffinity(0))
    assert machine().usable_cpus == usable_cpus()
    host.has(HYPERTHREADS, quota="50000 100000")
    assert host.usable() == 1


def test_the_quota_of_cgroup_v1_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda thread: set(range(8)))
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("300000\n")
    assert usable_cpus(tmp_path) == 3
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert usable_cpus(tmp_path) == 8


@pytest.mark.parametrize(
    ("numbers", "text"), [((1,), "1"), ((0, 1, 2, 3), "0-3"), ((0, 1, 8, 10, 11), "0-1,8,10-11"), ((), "")]
)
def test_lists_of_cpus_are_read_and_written_as_the_kernel_does(numbers: tuple[int, ...], text: str) -> None:
    assert cpu_list(numbers) == text
    assert parse_cpu_list(f"{text}\n") == numbers


def test_the_report_notes_refused_pinning() -> None:
    cpus = MeasuringCpus((0, 1), 2, "Turns", pins=True, notes=("first",))
    written = cpus.described_in(Environment(notes=["late"]), pinned=True)
    assert (written.measured_cpus, written.isolation, written.pinned) == ("0-1", "Turns", True)
    assert written.notes == ["late", "first"]
    refused = cpus.described_in(Environment(), pinned=False)
    assert refused.notes[-1] == "this machine does not let a process choose its CPUs: not pinned"
    assert not refused.pinned
