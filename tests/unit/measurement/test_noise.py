"""What the kernel tells of the machine while something is measured."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from compression_runner.measurement import noise
from compression_runner.measurement.noise import Reading, machine, noise_between, noise_notes, read_noise, usable_cpus

QUIET = Reading(busy=10.0, total=100.0, steal=1.0, own=5.0, throttled_periods=2, throttled_seconds=0.5)


def test_shares_are_of_all_cpu_time() -> None:
    later = Reading(busy=70.0, total=200.0, steal=6.0, own=35.0, throttled_periods=12, throttled_seconds=1.5)
    found = noise_between(QUIET, later)
    assert found["stealShare"] == 0.05
    assert found["otherShare"] == 0.30
    assert found["throttledPeriods"] == 10
    assert found["throttledSeconds"] == 1.0
    notes = noise_notes(found)
    assert len(notes) == 3
    assert "throttled the benchmark in 10 periods (1 s)" in notes[0]
    assert "30%" in notes[2]


def test_a_quiet_machine_has_no_notes() -> None:
    later = replace(QUIET, busy=90.0, own=84.0, total=200.0)
    assert noise_notes(noise_between(QUIET, later)) == []


def test_without_a_cgroup_nothing_is_said_of_throttling(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(noise, "_CGROUP_FILES", (tmp_path / "cpu.stat",))
    assert read_noise().throttled_periods is None
    assert "throttledPeriods" not in noise_between(read_noise(), read_noise())


@pytest.mark.parametrize(
    ("content", "seconds"),
    [
        ("usage_usec 9\nnr_periods 7\nnr_throttled 3\nthrottled_usec 1500000\n", 1.5),
        ("nr_periods 7\nnr_throttled 3\nthrottled_time 1500000000\n", 1.5),
    ],
    ids=["cgroup v2", "cgroup v1"],
)
def test_both_cgroup_versions_are_read(
    content: str, seconds: float, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "cpu.stat").write_text(content)
    monkeypatch.setattr(noise, "_CGROUP_FILES", (tmp_path / "cpu.stat",))
    found = read_noise()
    assert found.throttled_periods == 3
    assert found.throttled_seconds == pytest.approx(seconds)


def test_counters_of_this_machine_only_grow() -> None:
    before, after = read_noise(), read_noise()
    assert after.total >= before.total > 0
    assert after.own >= before.own > 0


def test_usable_cpus_are_within_the_affinity() -> None:
    assert 1 <= usable_cpus() <= len(os.sched_getaffinity(0))
    assert machine()["usableCpus"] == usable_cpus()
