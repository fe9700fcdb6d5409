"""A GPU that measures: its name and driver in the report, its energy, and the memory of a model on it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compression_runner.evaluation.machine.energy import GpuEnergyMeter
from compression_runner.evaluation.machine.execution import Execution
from compression_runner.evaluation.machine.memory import MemoryFigures, MemoryProbes
from compression_runner.gpu.card import Card, open_card
from compressionjob.report import Environment
from tests.support.nvml.driver import GPU_IS_LOST, MIB, UUID, Driver


def opened() -> Card:
    card = open_card(UUID)
    assert card is not None
    return card


def test_the_report_names_the_gpu_and_its_driver(driver: Driver) -> None:
    described = Execution("onnxruntime-cuda", opened()).described_in(Environment(measured_in="onnxruntime-cuda 1"))
    assert (described.device, described.driver) == ("NVIDIA Test", "570.86.15")


def test_the_energy_of_a_block_is_that_of_the_gpu(driver: Driver) -> None:
    meter = Execution("onnxruntime-tensorrt", opened()).energy_meter()
    assert isinstance(meter, GpuEnergyMeter)
    driver.say(energy=1_000)
    before = meter.read()
    driver.say(energy=3_500)
    assert meter.since(before) == pytest.approx(2.5)
    driver.say(energy=500)
    assert meter.since(before) is None, "the driver was reloaded"
    driver.say(energy=None)
    assert meter.since(before) is None


def test_a_gpu_without_counters_has_no_meter_and_never_that_of_the_processors(driver: Driver) -> None:
    driver.say(energy=None)
    assert Execution("onnxruntime-cuda", opened()).energy_meter() is None
    assert Execution("onnxruntime-cuda").energy_meter() is None


def test_the_memory_of_one_process_is_read(driver: Driver) -> None:
    driver.say(processes=[(7, 800 * MIB), (8, 500 * MIB), (9, 2**64 - 1)])
    assert [opened().bytes_of(pid) for pid in (7, 8, 9, 10)] == [800 * MIB, 500 * MIB, None, None]
    driver.say(every_call=GPU_IS_LOST)
    assert open_card(UUID) is None


@pytest.fixture
def probed(
    library: Path, linear_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], MemoryFigures]:
    """Return a function that measures the memory of two fresh processes, whose loader finds the stand-in's library."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    model = linear_model("model", np.ones((16, 4), np.float32))
    feed = {"x": np.ones((1, 16), np.float32)}
    return lambda gpu: MemoryProbes(model, feed, 1, 0.95, "onnxruntime", gpu=gpu).measure(2)


def test_a_fresh_process_reports_its_own_memory_on_the_gpu(
    driver: Driver, probed: Callable[[str], MemoryFigures]
) -> None:
    driver.say(processes=[(77, 4096 * MIB), (0, 620 * MIB)], caller=1)
    figures = probed(UUID)
    assert figures.gpu_peaks == (620 * MIB, 620 * MIB)
    assert figures.gpu_value == 620 * MIB
    assert figures.value > MIB, "the memory of the host is a figure of its own"


def test_the_memory_of_an_instance_is_that_of_the_process_on_it(
    driver: Driver, probed: Callable[[str], MemoryFigures]
) -> None:
    driver.say(gpu="GPU-other", instance=f"MIG-{UUID}", mig=1, processes=[(0, 620 * MIB)], caller=1)
    assert probed(f"MIG-{UUID}").gpu_value == 620 * MIB


@pytest.mark.parametrize("gpu", ["", UUID])
def test_memory_that_the_driver_does_not_report_is_absent(
    gpu: str, driver: Driver, probed: Callable[[str], MemoryFigures]
) -> None:
    """Without a GPU, or with the pids of the machine in a container."""
    driver.say(processes=[(4_000_001, 620 * MIB)])
    assert probed(gpu).gpu_value is None
