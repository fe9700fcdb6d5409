"""Whole CPUs for pods: only with a spare CPU, which the control plane does not use."""

import os

import pytest

from localcluster import cpus


def machine(monkeypatch: pytest.MonkeyPatch, count: int, ours: set[int]) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: ours)


def test_pods_can_have_whole_cpus_that_the_control_plane_does_not_use(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 2, {0, 1})
    assert cpus.manager()["cpuManagerPolicy"] == "static"
    assert cpus.chart_arguments() == []
    assert cpus.on_system_cpu(["etcd", "--name=local"]) == ["taskset", "--cpu-list", "0", "etcd", "--name=local"]


@pytest.mark.parametrize(("count", "ours"), [(1, {0}), (4, {2, 3})])
def test_cpus_are_shared_on_one_cpu_or_with_limited_affinity(
    monkeypatch: pytest.MonkeyPatch, count: int, ours: set[int]
) -> None:
    machine(monkeypatch, count, ours)
    assert cpus.manager() == {}
    assert "runtimes.cpu.measuring.isolation=Shared" in cpus.chart_arguments()
    assert cpus.on_system_cpu(["etcd"]) == ["etcd"]
