"""Readings of a GPU during a stage: other processes, throttling, and energy."""

import os
import time

import pytest

from compression_runner.gpu.card import HEAT, POWER, open_card
from compression_runner.gpu.watch import GpuWatch, watching
from tests.support.nvml.driver import GPU_IS_LOST, MIB, UUID, Driver

ME = os.getpid()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Stage:
    """A watched stage of which each step takes a second."""

    def __init__(self, tensors: int | None = None) -> None:
        self.clock = Clock()
        own = None if tensors is None else lambda: tensors
        self.watch = GpuWatch(open_card(UUID), own, self.clock)

    def steps(self, count: int = 1) -> None:
        for _ in range(count):
            self.clock.now += 1.0
            self.watch.step()


def test_energy_is_the_difference_of_first_and_last_reading(driver: Driver) -> None:
    stage = Stage()
    stage.steps(3)
    driver.say(energy=5_012_345)
    assert stage.watch.to_report() == {"name": "NVIDIA Test", "energyJoules": 12.345, "looks": 4, "sharedLooks": 0}


def test_readings_are_a_second_apart_even_for_fast_steps(driver: Driver) -> None:
    stage = Stage()
    for _ in range(100):
        stage.clock.now += 0.1
        stage.watch.step()
    assert 9 <= stage.watch.to_report()["looks"] <= 11


def test_energy_that_is_not_supported_is_absent(driver: Driver) -> None:
    driver.say(energy=None)
    stage = Stage()
    stage.steps()
    report = stage.watch.to_report()
    assert "energyJoules" not in report
    assert report["looks"] == 2


def test_a_reloaded_driver_has_no_energy(driver: Driver) -> None:
    stage = Stage()
    driver.say(energy=10)
    assert "energyJoules" not in stage.watch.to_report()


def test_a_temporary_other_process_is_counted(driver: Driver) -> None:
    stage = Stage()
    stage.steps(2)
    driver.say(processes=[(ME, 800 * MIB), (77, 500 * MIB), (78, 500 * MIB)], used=1900 * MIB)
    stage.steps(1)
    driver.say(processes=[(ME, 800 * MIB)], used=900 * MIB)
    report = stage.watch.to_report()
    assert (report["sharedLooks"], report["looks"], report["mostOtherProcesses"]) == (1, 4, 2)
    assert report["notes"] == ["other processes were on the GPU in 1 of 4 readings"]


def test_several_processes_may_belong_to_the_work(driver: Driver) -> None:
    driver.say(processes=[(ME, 800 * MIB), (77, 500 * MIB)])
    stage = Stage()
    stage.watch.includes(77)
    stage.steps()
    assert stage.watch.to_report()["sharedLooks"] == 0
    driver.say(processes=[(4_000_001, 800 * MIB), (4_000_002, 500 * MIB)])
    assert stage.watch.to_report()["sharedLooks"] == 0, "under pids of the machine, in a container"
    driver.say(processes=[(4_000_001, 800 * MIB), (4_000_002, 500 * MIB), (4_000_003, 500 * MIB)])
    assert stage.watch.to_report()["mostOtherProcesses"] == 1


def test_others_share_is_reported_if_own_kernels_are_known(driver: Driver) -> None:
    driver.say(samples=[], processes=[(ME, 800 * MIB), (77, 500 * MIB)])
    stage = Stage()
    later = int(time.time() * 1e6) + 60_000_000
    driver.say(samples=[(ME, later, 60), (77, later, 40)])
    stage.steps()
    driver.say(samples=[(ME, later + 1, 100)])
    report = stage.watch.to_report()
    assert report["otherShare"] == 0.2
    assert report["notes"] == ["other processes were on the GPU in 2 of 2 readings, and used 20% of its time"]


def test_in_a_container_one_of_the_machines_pids_is_this_process(driver: Driver) -> None:
    driver.say(processes=[(4_000_001, 800 * MIB)])
    alone = Stage(tensors=500 * MIB)
    alone.steps()
    assert alone.watch.to_report()["sharedLooks"] == 0
    driver.say(processes=[(4_000_001, 800 * MIB), (4_000_002, 500 * MIB)])
    alone.steps()
    assert alone.watch.to_report()["mostOtherProcesses"] == 1


def test_others_that_all_have_one_pid_are_counted(driver: Driver) -> None:
    """As a driver may show those of other containers."""
    driver.say(processes=[(ME, 800 * MIB), (0, 500 * MIB), (0, 500 * MIB)])
    assert Stage().watch.to_report()["mostOtherProcesses"] == 2


def test_memory_shows_others_with_hidden_pids(driver: Driver) -> None:
    driver.say(processes=[], used=1300 * MIB)
    stage = Stage(tensors=500 * MIB)
    stage.steps()
    driver.say(used=9000 * MIB)
    report = stage.watch.to_report()
    assert (report["sharedLooks"], report["mostOtherBytes"]) == (1, 8500 * MIB), "800 MiB may be CUDA's own"
    assert "mostOtherProcesses" not in report


def test_unknown_others_are_not_reported(driver: Driver) -> None:
    driver.say(processes=[])
    stage = Stage()
    stage.steps()
    report = stage.watch.to_report()
    assert report == {"name": "NVIDIA Test", "energyJoules": 0.0, "looks": 2}


def test_heat_and_power_limits_are_counted_by_reading(driver: Driver) -> None:
    stage = Stage()
    driver.say(reasons=0x04)
    stage.steps(2)
    driver.say(reasons=0x04 | 0x40)
    stage.steps(1)
    driver.say(reasons=0)
    report = stage.watch.to_report()
    assert report["slowedLooks"] == {POWER: 3, HEAT: 1}
    assert report["notes"] == [
        "the GPU was throttled in 3 of 4 readings (power limit)",
        "the GPU was throttled in 1 of 4 readings (thermal slowdown)",
    ]


def test_a_gpu_lost_during_a_stage_causes_no_error(driver: Driver) -> None:
    stage = Stage()
    stage.steps(2)
    driver.say(every_call=GPU_IS_LOST)
    stage.steps(2)
    assert stage.watch.to_report() == {"name": "NVIDIA Test", "looks": 2, "sharedLooks": 0}


def test_temporary_errors_lose_only_their_readings(driver: Driver) -> None:
    stage = Stage()
    driver.say(every_call=GPU_IS_LOST)
    stage.steps(2)
    driver.say(every_call=None, energy=5_001_000)
    report = stage.watch.to_report()
    assert (report["energyJoules"], report["looks"]) == (1.0, 1)


def test_without_a_gpu_nothing_is_reported(driver: Driver) -> None:
    with watching(None) as on_the_cpu, watching("00000000-0000-0000-0000-000000000000") as unknown:
        for watch in (on_the_cpu, unknown):
            watch.step()
            assert watch.to_report() == {}
    assert driver.times_open == 0


def fail_on_the_gpu(driver: Driver) -> None:
    with watching(UUID):
        assert driver.times_open == 1
        raise ValueError("diverged")


def test_a_failed_stage_releases_the_driver(driver: Driver) -> None:
    with pytest.raises(ValueError, match="diverged"):
        fail_on_the_gpu(driver)
    assert driver.times_open == 0
