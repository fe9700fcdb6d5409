"""A stage on a GPU, second by second: who else computes there, what slows it, and what it uses."""

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


def test_energy_is_what_was_used_from_first_to_last(driver: Driver) -> None:
    stage = Stage()
    stage.steps(3)
    driver.say(energy=5_012_345)
    assert stage.watch.told() == {"name": "NVIDIA Test", "energyJoules": 12.345, "looks": 4, "sharedLooks": 0}


def test_looks_are_a_second_apart_however_quick_the_steps(driver: Driver) -> None:
    stage = Stage()
    for _ in range(100):
        stage.clock.now += 0.1
        stage.watch.step()
    assert 9 <= stage.watch.told()["looks"] <= 11


def test_energy_that_is_not_supported_is_absent(driver: Driver) -> None:
    driver.say(energy=None)
    stage = Stage()
    stage.steps()
    told = stage.watch.told()
    assert "energyJoules" not in told
    assert told["looks"] == 2


def test_a_driver_that_was_loaded_again_has_no_energy_to_tell(driver: Driver) -> None:
    stage = Stage()
    driver.say(energy=10)
    assert "energyJoules" not in stage.watch.told()


def test_another_process_that_comes_and_goes_is_seen(driver: Driver) -> None:
    stage = Stage()
    stage.steps(2)
    driver.say(processes=[(ME, 800 * MIB), (77, 500 * MIB), (78, 500 * MIB)], used=1900 * MIB)
    stage.steps(1)
    driver.say(processes=[(ME, 800 * MIB)], used=900 * MIB)
    told = stage.watch.told()
    assert (told["sharedLooks"], told["looks"], told["mostOtherProcesses"]) == (1, 4, 2)
    assert told["notes"] == ["other processes were on the GPU in 1 of 4 looks"]


def test_the_work_of_several_processes_may_be_this_ones(driver: Driver) -> None:
    driver.say(processes=[(ME, 800 * MIB), (77, 500 * MIB)])
    stage = Stage()
    stage.watch.includes(77)
    stage.steps()
    assert stage.watch.told()["sharedLooks"] == 0
    driver.say(processes=[(4_000_001, 800 * MIB), (4_000_002, 500 * MIB)])
    assert stage.watch.told()["sharedLooks"] == 0, "under pids of the machine, in a container"
    driver.say(processes=[(4_000_001, 800 * MIB), (4_000_002, 500 * MIB), (4_000_003, 500 * MIB)])
    assert stage.watch.told()["mostOtherProcesses"] == 1


def test_what_others_used_is_told_where_it_is_known_whose_kernels_ran(driver: Driver) -> None:
    driver.say(samples=[], processes=[(ME, 800 * MIB), (77, 500 * MIB)])
    stage = Stage()
    later = int(time.time() * 1e6) + 60_000_000
    driver.say(samples=[(ME, later, 60), (77, later, 40)])
    stage.steps()
    driver.say(samples=[(ME, later + 1, 100)])
    told = stage.watch.told()
    assert told["otherShare"] == 0.2
    assert told["notes"] == ["other processes were on the GPU in 2 of 2 looks, and used 20% of its time"]


def test_in_a_container_one_of_the_machines_pids_is_this_process(driver: Driver) -> None:
    driver.say(processes=[(4_000_001, 800 * MIB)])
    alone = Stage(tensors=500 * MIB)
    alone.steps()
    assert alone.watch.told()["sharedLooks"] == 0
    driver.say(processes=[(4_000_001, 800 * MIB), (4_000_002, 500 * MIB)])
    alone.steps()
    assert alone.watch.told()["mostOtherProcesses"] == 1


def test_others_that_all_have_one_pid_are_counted(driver: Driver) -> None:
    """As a driver may show those of other containers."""
    driver.say(processes=[(ME, 800 * MIB), (0, 500 * MIB), (0, 500 * MIB)])
    assert Stage().watch.told()["mostOtherProcesses"] == 2


def test_memory_tells_of_others_whose_pids_are_hidden(driver: Driver) -> None:
    driver.say(processes=[], used=1300 * MIB)
    stage = Stage(tensors=500 * MIB)
    stage.steps()
    driver.say(used=9000 * MIB)
    told = stage.watch.told()
    assert (told["sharedLooks"], told["mostOtherBytes"]) == (1, 8500 * MIB), "800 MiB may be CUDA's own"
    assert "mostOtherProcesses" not in told


def test_where_nothing_is_told_of_others_nothing_is_said(driver: Driver) -> None:
    driver.say(processes=[])
    stage = Stage()
    stage.steps()
    told = stage.watch.told()
    assert told == {"name": "NVIDIA Test", "energyJoules": 0.0, "looks": 2}


def test_heat_and_limits_of_power_are_counted_look_by_look(driver: Driver) -> None:
    stage = Stage()
    driver.say(reasons=0x04)
    stage.steps(2)
    driver.say(reasons=0x04 | 0x40)
    stage.steps(1)
    driver.say(reasons=0)
    told = stage.watch.told()
    assert told["slowedLooks"] == {POWER: 3, HEAT: 1}
    assert told["notes"] == [
        "a limit of power slowed the GPU in 3 of 4 looks",
        "heat slowed the GPU in 1 of 4 looks",
    ]


def test_a_gpu_that_is_lost_in_the_middle_breaks_nothing(driver: Driver) -> None:
    stage = Stage()
    stage.steps(2)
    driver.say(every_call=GPU_IS_LOST)
    stage.steps(2)
    assert stage.watch.told() == {"name": "NVIDIA Test", "looks": 2, "sharedLooks": 0}


def test_errors_in_the_middle_alone_cost_only_their_looks(driver: Driver) -> None:
    stage = Stage()
    driver.say(every_call=GPU_IS_LOST)
    stage.steps(2)
    driver.say(every_call=None, energy=5_001_000)
    told = stage.watch.told()
    assert (told["energyJoules"], told["looks"]) == (1.0, 1)


def test_without_a_gpu_nothing_is_told(driver: Driver) -> None:
    with watching(None) as on_the_cpu, watching("00000000-0000-0000-0000-000000000000") as unknown:
        for watch in (on_the_cpu, unknown):
            watch.step()
            assert watch.told() == {}
    assert driver.times_open == 0


def fail_on_the_gpu(driver: Driver) -> None:
    with watching(UUID):
        assert driver.times_open == 1
        raise ValueError("diverged")


def test_the_driver_is_let_go_of_when_a_stage_fails(driver: Driver) -> None:
    with pytest.raises(ValueError, match="diverged"):
        fail_on_the_gpu(driver)
    assert driver.times_open == 0
