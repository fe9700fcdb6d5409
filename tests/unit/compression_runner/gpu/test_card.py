"""One GPU through pynvml's real calls: its identity, its values, and missing values."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pynvml
import pytest

from compression_runner.gpu.card import BRAKE, HARDWARE, HEAT, POWER, Card, GpuState, open_card
from tests.support.nvml.driver import GPU_IS_LOST, LIBRARY, MIB, UUID, Driver, compiled, installed

ME = os.getpid()


def opened(uuid: str = UUID) -> Card:
    card = open_card(uuid)
    assert card is not None
    return card


def seen_by_another_process(folder: Path, says: Path) -> str:
    """Return the GPU as seen by another process, whose loader searches a folder first."""
    program = (
        f"from compression_runner.gpu.card import open_card; card = open_card('{UUID}'); print(card and card.look())"
    )
    environment = os.environ | {"LD_LIBRARY_PATH": str(folder), "FAKE_NVML": str(says)}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


def test_the_drivers_library_is_loaded_by_its_name(driver: Driver, library: Path, tmp_path: Path) -> None:
    assert "joules=5000.0" in seen_by_another_process(library.parent, tmp_path / "says")


def test_without_a_library_there_is_no_gpu(driver: Driver, tmp_path: Path) -> None:
    """A file that is no library, so that the loader finds no other one on a machine that has a driver."""
    (tmp_path / LIBRARY).write_text("no library")
    assert seen_by_another_process(tmp_path, tmp_path / "says") == "None"


def test_without_a_driver_there_is_no_gpu(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAKE_NVML")
    assert open_card(UUID) is None


def test_an_unknown_gpu_is_none(driver: Driver) -> None:
    assert open_card("00000000-0000-0000-0000-000000000000") is None
    driver.say(gpu=None)
    assert open_card(UUID) is None
    assert driver.times_open == 0


def test_all_values_of_a_gpu_are_read(driver: Driver) -> None:
    driver.say(processes=[(ME, 800 * MIB), (77, 4096 * MIB)], used=4900 * MIB, energy=1_234_567)
    card = opened()
    assert card.name == "NVIDIA Test"
    state = card.look()
    assert state == GpuState(1234.567, 4900 * MIB, [(ME, 800 * MIB), (77, 4096 * MIB)], None, frozenset())
    assert driver.times_open == 1
    card.close()
    assert driver.times_open == 0


@pytest.mark.parametrize("written", [UUID, f"GPU-{UUID}"])
def test_the_uuid_may_have_torchs_or_nvmls_form(driver: Driver, written: str) -> None:
    assert opened(written).look().joules == 5000.0


def test_unsupported_values_are_none_and_others_are_read(driver: Driver) -> None:
    driver.say(energy=None, processes=None, used=None)
    assert opened().look() == GpuState(slowed_by=frozenset())


def test_hidden_memory_of_a_process_is_none(driver: Driver) -> None:
    not_available = 2**64 - 1
    driver.say(processes=[(ME, not_available)])
    assert opened().look().processes == [(ME, None)]


@pytest.mark.parametrize(
    ("reasons", "by"),
    [
        (pynvml.nvmlClocksEventReasonSwThermalSlowdown, {HEAT}),
        (pynvml.nvmlClocksEventReasonHwThermalSlowdown | pynvml.nvmlClocksEventReasonHwSlowdown, {HEAT}),
        (pynvml.nvmlClocksEventReasonSwPowerCap, {POWER}),
        (pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown | pynvml.nvmlClocksEventReasonHwSlowdown, {BRAKE}),
        (0x20 | 0x04, {HEAT, POWER}),
        (pynvml.nvmlClocksEventReasonHwSlowdown, {HARDWARE}),
        (pynvml.nvmlClocksEventReasonGpuIdle | pynvml.nvmlClocksEventReasonApplicationsClocksSetting, set()),
    ],
)
def test_causes_of_throttling(driver: Driver, reasons: int, by: set[str]) -> None:
    driver.say(reasons=reasons)
    assert opened().look().slowed_by == frozenset(by)


def test_shares_are_of_the_time_since_the_last_reading(driver: Driver) -> None:
    start = int(time.time() * 1e6)
    driver.say(samples=[(ME, 1_000_000, 99)])
    card = opened()
    assert card.look().shares == {}, "that was before"
    soon = start + 60_000_000
    driver.say(samples=[(ME, soon, 60), (77, soon, 30), (77, soon + 1, 10)])
    assert card.look().shares == {ME: 0.6, 77: 0.2}
    assert card.look().shares == {}


def test_shares_are_of_a_longer_time_if_that_is_requested(driver: Driver) -> None:
    card = opened()
    now = int(time.time() * 1e6)
    driver.say(samples=[(ME, now - 5_000_000, 100), (77, now - 500_000, 40), (0, now, 20), (0, now, 30)])
    assert card.look().shares == {0: 0.5}, "two processes with one pid at one time"
    assert card.look(window=2.0).shares == {77: 0.4, 0: 0.5}
    assert card.look(window=60.0).shares == {ME: 1.0, 77: 0.4, 0: 0.5}


def test_the_clock_is_a_share_of_the_highest_and_heat_has_a_counter(driver: Driver) -> None:
    driver.say(clock=990, highest_clock=1980, hot=1_500_000_000)
    state = opened().look()
    assert (state.clock, state.hot_seconds) == (0.5, 1.5)


def test_an_instance_has_its_own_processes_and_no_energy(driver: Driver) -> None:
    """The clocks are the whole GPU's. The energy is too, so that it says nothing of an instance."""
    driver.say(gpu="GPU-other", instance=f"MIG-{UUID}", mig=1, reasons=0x20, samples=[(ME, 2**62, 50)])
    state = opened().look()
    assert state == GpuState(None, 900 * MIB, [(ME, 800 * MIB)], None, frozenset({HEAT}))


def test_values_of_other_instances_are_not_reported(driver: Driver) -> None:
    driver.say(mig=1, processes=[(77, 4096 * MIB)])
    assert opened().look() == GpuState(slowed_by=frozenset())


def test_an_older_driver_reports_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = installed(compiled(tmp_path, "-DOLD_DRIVER"), tmp_path / "says", monkeypatch)
    older.say(reasons=0x04)
    state = opened().look()
    assert (state.slowed_by, state.used_bytes) == (frozenset({POWER}), 900 * MIB)


def test_a_lost_gpu_reports_nothing(driver: Driver) -> None:
    card = opened()
    driver.say(every_call=GPU_IS_LOST)
    assert card.look() == GpuState()
    card.close()
    assert open_card(UUID) is None
