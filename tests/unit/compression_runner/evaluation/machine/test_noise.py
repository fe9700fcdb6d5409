"""Noise of the machine during a measurement, from the kernel's counters."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from compression_runner.evaluation.machine import noise
from compression_runner.evaluation.machine.noise import Reading, noise_between, noise_notes, read_noise

QUIET = Reading(
    busy=10.0, total=100.0, steal=1.0, own=5.0, throttled_periods=2, throttled_seconds=0.5, moment=0.0, waited=1.0
)


def test_shares_are_of_all_cpu_time() -> None:
    later = Reading(busy=70.0, total=200.0, steal=6.0, own=35.0, throttled_periods=12, throttled_seconds=1.5)
    noise = noise_between(QUIET, later)
    report = noise.to_report()
    assert report.steal_share == 0.05
    assert report.other_share == 0.30
    assert report.throttled_periods == 10
    assert report.throttled_seconds == 1.0
    notes = noise_notes(noise)
    assert len(notes) == 3
    assert "throttled the benchmark in 10 periods (1 s)" in notes[0]
    assert "30%" in notes[2]


def test_a_quiet_machine_has_no_notes() -> None:
    later = replace(QUIET, busy=90.0, own=84.0, total=200.0)
    assert noise_notes(noise_between(QUIET, later)) == []


def test_without_a_cgroup_throttling_is_not_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(noise, "_CGROUP_FILES", (tmp_path / "cpu.stat",))
    assert read_noise().throttled_periods is None
    assert "throttledPeriods" not in noise_between(read_noise(), read_noise()).to_report().to_json()


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
    reading_now = read_noise()
    assert reading_now.throttled_periods == 3
    assert reading_now.throttled_seconds == pytest.approx(seconds)


def test_counters_of_this_machine_only_grow() -> None:
    before, after = read_noise(), read_noise()
    assert after.total >= before.total > 0
    assert after.own >= before.own > 0


def test_waiting_counts_up_to_the_work_of_others() -> None:
    later = replace(QUIET, total=120.0, busy=30.0, own=15.0, moment=10.0, waited=4.0)
    noise = noise_between(QUIET, later)
    assert noise.lost == pytest.approx(3.0), "of the three seconds of waiting, others worked ten"
    assert noise.disturbed
    alone = noise_between(QUIET, replace(later, own=25.0))
    assert alone.lost <= 0.02, "threads that waited for each other lost nothing to others"
    assert not alone.disturbed


def test_throttling_by_the_cgroup_is_not_noise() -> None:
    later = replace(QUIET, total=120.0, busy=30.0, own=15.0, moment=10.0, waited=4.0, throttled_seconds=3.4)
    noise = noise_between(QUIET, later)
    assert noise.lost == pytest.approx(0.1)
    assert not noise.disturbed


def test_without_schedstat_all_work_of_others_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "usable_cpus", lambda: 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    later = replace(QUIET, total=140.0, busy=30.0, own=15.0, moment=10.0, waited=None)
    assert noise_between(QUIET, later).lost == pytest.approx(2.5), "a quarter of the machine is this process's"


def test_steal_counts_only_on_the_cpus_of_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A hypervisor may take time from some CPUs only: the mean of all of them is no bound."""
    (tmp_path / "self" / "task").mkdir(parents=True)
    monkeypatch.setattr(noise, "allowed_cpus", lambda: {2})
    monkeypatch.setattr(noise, "usable_cpus", lambda: 1)

    def reading(here: int, there: int) -> Reading:
        lines = [f"cpu  0 0 0 0 0 0 0 {here + there} 0 0", f"cpu1 0 0 0 0 0 0 0 {there} 0 0", "intr 1 2"]
        (tmp_path / "stat").write_text("\n".join([*lines, f"cpu2 0 0 0 0 0 0 0 {here} 0 0"]) + "\n")
        return read_noise(tmp_path)

    tick = os.sysconf("SC_CLK_TCK")
    measured = replace(noise_between(reading(0, 0), reading(3 * tick, 0)), elapsed=10.0)
    assert measured.uncounted == pytest.approx(3.0)
    assert noise_between(reading(0, 0), reading(0, 3 * tick)).uncounted == 0.0


def test_lost_time_does_not_change_after_unpinning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict comes later, and must be that of the look that ended the measurement."""
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(noise, "usable_cpus", lambda: 1)
    pinned = noise_between(QUIET, replace(QUIET, total=140.0, busy=30.0, steal=5.0, own=15.0, moment=10.0, waited=None))
    before = (pinned.lost, pinned.uncounted)
    monkeypatch.setattr(noise, "usable_cpus", lambda: 4)
    assert (pinned.lost, pinned.uncounted) == before


def test_waiting_is_read_for_all_threads(tmp_path: Path) -> None:
    for thread, waited in (("7", 1_500_000_000), ("8", 500_000_000)):
        (tmp_path / "self" / "task" / thread).mkdir(parents=True)
        (tmp_path / "self" / "task" / thread / "schedstat").write_text(f"123 {waited} 9\n")
    (tmp_path / "stat").write_text("cpu  1 2 3 4 5 6 7 8 0 0\n")
    assert read_noise(tmp_path).waited == 2.0
    (tmp_path / "self" / "task" / "8" / "schedstat").unlink()
    assert read_noise(tmp_path).waited is None


def test_zeros_of_the_kernel_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "self" / "task" / "7").mkdir(parents=True)
    (tmp_path / "self" / "task" / "7" / "schedstat").write_text("0 0 0\n")
    (tmp_path / "stat").write_text("cpu  1 2 3 4 5 6 7 8 0 0\n")
    assert read_noise(tmp_path).waited is None, "else nothing would ever have been taken"


def test_frequency_and_heat_are_read_if_available(tmp_path: Path) -> None:
    for cpu in os.sched_getaffinity(0):
        (tmp_path / f"cpu{cpu}" / "cpufreq").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / "cpufreq" / "scaling_cur_freq").write_text("2500000\n")
        (tmp_path / f"cpu{cpu}" / "thermal_throttle").mkdir()
        (tmp_path / f"cpu{cpu}" / "thermal_throttle" / "core_throttle_count").write_text("0\n")
    before = read_noise(cpus=tmp_path)
    assert before.frequency == 2.5e9
    first = min(os.sched_getaffinity(0))
    (tmp_path / f"cpu{first}" / "thermal_throttle" / "core_throttle_count").write_text("3\n")
    noise = noise_between(before, read_noise(cpus=tmp_path))
    assert noise.disturbed
    assert noise.to_report().to_json()["frequencyGHz"] == 2.5
    assert "heat made the CPU slower 3 times" in noise_notes(noise)
    assert read_noise(cpus=tmp_path / "none").frequency is None


def test_noise_of_intervals_adds_up() -> None:
    later = replace(QUIET, total=120.0, busy=30.0, own=15.0, moment=10.0, waited=4.0, frequency=2e9)
    one = noise_between(QUIET, later)
    both = one + replace(one, elapsed=30.0, frequency=1e9)
    assert (both.elapsed, both.other, both.waited) == (40.0, 2 * one.other, 6.0)
    assert both.frequency == pytest.approx(1.25e9)
