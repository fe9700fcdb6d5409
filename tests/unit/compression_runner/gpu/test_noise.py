"""Noise on the GPU that measures: what the driver reports bounds the seconds that a block may have lost."""

import os
import time

import pynvml
import pytest

from compression_runner.evaluation.machine.gpu_noise import GpuNoise, gpu_noise_between, read_gpu
from compression_runner.gpu.card import BRAKE, HEAT, POWER, Card, open_card
from tests.support.nvml.driver import GPU_IS_LOST, MIB, UUID, Driver

ME = os.getpid()
NEIGHBOUR = 77
OF_THE_MACHINE = (4_000_001, 4_000_002)
HOT = pynvml.nvmlClocksEventReasonHwThermalSlowdown | pynvml.nvmlClocksEventReasonHwSlowdown
BESIDE = [(ME, 800 * MIB), (NEIGHBOUR, 500 * MIB)]


def opened() -> Card:
    card = open_card(UUID)
    assert card is not None
    return card


def block(card: Card, elapsed: float = 2.0, own_processes: int = 1) -> GpuNoise:
    """Return the noise of a block during which the driver's state does not change."""
    before, after = (read_gpu(card, {ME}, own_processes) for _ in range(2))
    return gpu_noise_between(before, after, elapsed)


def now() -> int:
    """Return the present time in the driver's microseconds."""
    return int(time.time() * 1e6)


def test_a_quiet_gpu_has_no_noise(driver: Driver) -> None:
    driver.say(samples=[(ME, now(), 95)], clock=1755, highest_clock=1980, hot=7)
    noise = block(opened())
    assert (noise.lost, noise.notes(), noise.others) == (0.0, [], 0)
    assert noise.to_report().to_json() == {
        "otherProcesses": 0, "otherShare": 0.0, "othersMeasured": True, "slowedShare": 0.0, "slowedBy": [],
    }  # fmt: skip


def test_kernels_of_others_take_their_share_of_the_time(driver: Driver) -> None:
    driver.say(processes=BESIDE, used=1300 * MIB, samples=[(ME, now(), 60), (NEIGHBOUR, now(), 30)])
    noise = block(opened())
    assert noise.lost == pytest.approx(0.6)
    assert noise.notes() == ["kernels of other processes ran for 30% of the time on the GPU"]
    assert (noise.to_report().other_processes, noise.to_report().other_share) == (1, 0.3)


def test_an_idle_neighbour_takes_nothing(driver: Driver) -> None:
    driver.say(processes=BESIDE, used=1300 * MIB, samples=[(ME, now(), 60)])
    noise = block(opened())
    assert (noise.lost, noise.others) == (0.0, 1)


def test_the_use_of_the_second_before_counts_for_a_short_block(driver: Driver) -> None:
    """The driver's own samples are up to a second long, and no new one may come within a block."""
    card = opened()
    driver.say(processes=BESIDE, used=1300 * MIB, samples=[(NEIGHBOUR, now() - 200_000, 50)])
    assert block(card, elapsed=0.1).lost == pytest.approx(0.05)
    assert block(card, elapsed=0.1).lost == pytest.approx(0.05), "the next block does not lose the sample"


def test_a_neighbour_that_comes_within_a_block_counts_for_all_of_it(driver: Driver) -> None:
    card = opened()
    driver.say(samples=[(ME, now(), 90)])
    before = read_gpu(card, {ME})
    driver.say(processes=BESIDE, used=1300 * MIB, samples=[(ME, now(), 60), (NEIGHBOUR, now(), 40)])
    assert gpu_noise_between(before, read_gpu(card, {ME}), 2.0).lost == pytest.approx(0.8)


def test_pids_of_the_machine_leave_the_most_to_others(driver: Driver) -> None:
    """In a container, it is not known which of them is this process."""
    first, second = OF_THE_MACHINE
    driver.say(processes=[(first, 800 * MIB)], samples=[(first, now(), 90)])
    assert block(opened()).lost == 0.0
    driver.say(processes=[(first, 800 * MIB), (second, 80 * MIB)], samples=[(first, now(), 90), (second, now(), 10)])
    assert block(opened()).taken == pytest.approx(1.8)
    assert block(opened(), own_processes=2).taken == 0.0


def test_others_that_the_driver_does_not_measure_may_have_taken_all(driver: Driver) -> None:
    driver.say(processes=BESIDE, used=1300 * MIB, samples=None)
    noise = block(opened())
    assert noise.lost == 2.0
    assert noise.notes() == ["other processes are on the GPU, and its driver does not report how much they compute"]
    assert noise.to_report().others_measured is False


def test_memory_shows_processes_that_the_driver_hides(driver: Driver) -> None:
    driver.say(used=9000 * MIB, samples=[(ME, now(), 90)])
    assert block(opened()).lost == 2.0
    driver.say(used=1700 * MIB)
    assert block(opened()).lost == 0.0, "900 MiB may be CUDA's own"


def test_a_driver_that_lists_nothing_is_no_noise(driver: Driver) -> None:
    driver.say(processes=[], samples=None, used=9000 * MIB)
    noise = block(opened())
    assert (noise.lost, noise.others) == (0.0, None)
    assert noise.notes() == ["the driver lists no processes, so others on the GPU are unknown"]
    assert noise.to_report().other_processes is None


def test_a_lost_gpu_is_not_read(driver: Driver) -> None:
    card = opened()
    driver.say(every_call=GPU_IS_LOST)
    assert block(card).lost == 0.0


@pytest.mark.parametrize(
    ("reasons", "cause"),
    [(HOT, HEAT), (pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown, BRAKE)],
)
def test_lower_clocks_take_the_missing_share(driver: Driver, reasons: int, cause: str) -> None:
    driver.say(reasons=reasons, clock=990, highest_clock=1980)
    noise = block(opened())
    assert noise.slowed == pytest.approx(1.0)
    assert noise.notes() == [f"the GPU's clocks were lowered ({cause}), by 50% at most"]
    assert noise.to_report().slowed_by == [cause]
    driver.say(clock=None)
    assert block(opened()).slowed == 2.0, "any clock is possible"


def test_heat_between_two_readings_is_counted(driver: Driver) -> None:
    card = opened()
    driver.say(hot=1_000_000_000, clock=1980, highest_clock=1980)
    before = read_gpu(card, {ME})
    driver.say(hot=1_250_000_000)
    noise = gpu_noise_between(before, read_gpu(card, {ME}), 2.0)
    assert (noise.slowed, noise.slowed_by) == (pytest.approx(0.25), {HEAT})


def test_the_power_limit_is_noise_only_if_others_share_the_power(driver: Driver) -> None:
    capped = {"reasons": pynvml.nvmlClocksEventReasonSwPowerCap, "clock": 1485, "highest_clock": 1980}
    driver.say(**capped, samples=[(ME, now(), 90)])
    assert block(opened()).lost == 0.0, "the model reaches it when it serves, too"
    driver.say(processes=BESIDE, used=1300 * MIB, samples=[(ME, now(), 60), (NEIGHBOUR, now(), 40)])
    noise = block(opened())
    assert (noise.slowed_by, noise.lost) == ({POWER}, pytest.approx(0.8 + 0.5))


def test_an_instance_has_its_own_processes_and_the_clocks_of_the_whole_gpu(driver: Driver) -> None:
    """Of an instance, the driver does not report how much a process computes."""
    driver.say(gpu="GPU-other", instance=f"MIG-{UUID}", mig=1, samples=[(NEIGHBOUR, now(), 90)])
    card = opened()
    assert block(card).lost == 0.0, "that process is on another instance"
    driver.say(reasons=pynvml.nvmlClocksEventReasonSwPowerCap, clock=1485, highest_clock=1980)
    assert block(card).lost == pytest.approx(0.5), "other instances may have used the power"
    driver.say(reasons=0, processes=BESIDE, used=1300 * MIB)
    assert (block(card).lost, block(card).unmeasured) == (2.0, True)


def test_blocks_add_up(driver: Driver) -> None:
    quiet = GpuNoise(2.0, others=0)
    noisy = GpuNoise(2.0, taken=1.0, slowed=0.2, others=2, slowed_by=frozenset({HEAT}))
    both = quiet + noisy
    assert both == GpuNoise(4.0, 1.0, 0.2, 2, unmeasured=False, slowed_by=frozenset({HEAT}))
    assert both.lost == pytest.approx(1.2)
    assert both.notes() == [
        "kernels of other processes ran for 25% of the time on the GPU",
        "the GPU's clocks were lowered (thermal slowdown), by 5% at most",
    ]
    assert (GpuNoise(1.0, taken=0.9, slowed=0.9)).lost == 1.0, "no more than the time itself"
