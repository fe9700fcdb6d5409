"""A GPU that measures: its name and driver in the report, and its energy."""

import pytest

from compression_runner.evaluation.machine.energy import GpuEnergyMeter
from compression_runner.evaluation.machine.execution import Execution
from compression_runner.gpu.card import Card, open_card
from compressionjob.report import Environment
from tests.support.nvml.driver import UUID, Driver


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
