"""The verdict of a measurement on a GPU that others use, or whose clocks are low; the driver is a stand-in."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pynvml
import pytest

from compression_runner.dataset import SampleSet
from compression_runner.evaluation.evaluate import measure
from compression_runner.evaluation.machine import execution
from compression_runner.evaluation.measurements import MeasuredModel, Measurements
from compression_runner.evaluation.speed import loadgen
from compression_runner.inference import placement
from compressionjob.spec import CompressionJobSpec
from compressionjob.verdict import Judgement
from tests.support.machine import Machine, Uncounted
from tests.support.nvml.driver import MIB, UUID, Driver
from tests.support.providers import use_provider
from tests.support.short_measurements import measure_shortly

SPEC = CompressionJobSpec.model_validate(
    {
        "model": {"source": "file:///models/m", "task": "image-classification"},
        "data": {"evaluation": {"source": "file:///data/d.npz"}},
        "pipeline": [{"quantize": {"method": "cast", "dtype": "float16"}}],
        # Both fail by far on a quiet machine.
        "sla": {"latency": {"percentile": "p50", "max": "1us"}, "throughput": {"min": "1000000000"}},
        "benchmark": {"engine": "onnxruntime-cuda", "timeLimit": "1s"},
        "output": {"destination": "file:///models/out"},
    }
)
ME = os.getpid()
LATER = int(time.time() * 1e6) + 3_600_000_000
"""A sample with this time is new at every reading."""
TAKES_ALL = {
    "processes": [(ME, 800 * MIB), (77, 500 * MIB)],
    "used": 1300 * MIB,
    "samples": [(ME, LATER, 1), (77, LATER, 100)],
}


@pytest.fixture(autouse=True)
def _on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure with the provider of this machine's CPU in the place of CUDA's, and read the stand-in's GPU."""
    measure_shortly(monkeypatch)
    use_provider(monkeypatch, "CPUExecutionProvider")
    monkeypatch.setattr(placement, "CPU_PROVIDER", "none")
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", f"GPU-{UUID}")
    # Other processes of this machine must not decide.
    monkeypatch.setattr(execution, "read_noise", Machine())
    monkeypatch.setattr(loadgen, "ThreadWaits", Uncounted)


@pytest.fixture
def measured(linear_model: Callable[..., Path]) -> Callable[[], tuple[Measurements, Judgement]]:
    """Return a function that measures two classifiers."""
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(16, 4)).astype(np.float32)
    models = MeasuredModel(linear_model("before", weights), 2000), MeasuredModel(linear_model("after", weights), 9)
    rows = generator.normal(size=(100, 16)).astype(np.float32)
    data = SampleSet(samples=[{"x": row} for row in rows], digest="sha256:0")

    def run() -> tuple[Measurements, Judgement]:
        measurements = measure(SPEC, *models, data)
        return measurements, measurements.judgement(SPEC.sla)

    return run


def reasons_of(judgement: Judgement) -> list[str]:
    return [violation.reason for violation in judgement.objectives if violation.verdict == "Inconclusive"]


@pytest.mark.filterwarnings("ignore:Duplicate provider")
def test_a_quiet_gpu_decides(driver: Driver, measured: Callable[[], tuple[Measurements, Judgement]]) -> None:
    driver.say(samples=[(ME, LATER, 90)], clock=1755, highest_clock=1980)
    measurements, judgement = measured()
    assert judgement.verdict == "Fail"
    assert measurements.environment.device == "NVIDIA Test"
    assert measurements.environment.noise.gpu is not None
    assert (measurements.environment.noise.gpu.other_processes, measurements.environment.noise.gpu.other_share) == (
        0,
        0,
    )
    assert not any("GPU" in note for note in measurements.environment.notes)
    assert driver.times_open == 0


@pytest.mark.filterwarnings("ignore:Duplicate provider")
def test_another_process_on_the_gpu_decides_nothing(
    driver: Driver, measured: Callable[[], tuple[Measurements, Judgement]]
) -> None:
    driver.say(**TAKES_ALL)
    measurements, judgement = measured()
    assert judgement.verdict == "Inconclusive"
    for reason in reasons_of(judgement):
        assert reason.startswith("kernels of other processes ran for 100% of the time on the GPU, and may have taken")
        assert reason.endswith("a quiet GPU may decide")
    assert len(reasons_of(judgement)) == 2
    assert "kernels of other processes ran for 100% of the time on the GPU" in measurements.environment.notes
    assert measurements.environment.noise.gpu is not None
    assert measurements.environment.noise.gpu.other_processes == 1


@pytest.mark.filterwarnings("ignore:Duplicate provider")
def test_throttling_decides_nothing(driver: Driver, measured: Callable[[], tuple[Measurements, Judgement]]) -> None:
    brake = pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown | pynvml.nvmlClocksEventReasonHwSlowdown
    driver.say(reasons=brake, clock=0, highest_clock=1980)
    _, judgement = measured()
    assert judgement.verdict == "Inconclusive"
    assert all("the GPU's clocks were lowered (power brake)" in reason for reason in reasons_of(judgement))


@pytest.mark.filterwarnings("ignore:Duplicate provider")
def test_others_on_an_instance_decide_nothing(
    driver: Driver, measured: Callable[[], tuple[Measurements, Judgement]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NVIDIA_VISIBLE_DEVICES", f"MIG-{UUID}")
    driver.say(gpu="GPU-other", instance=f"MIG-{UUID}", mig=1)
    assert measured()[1].verdict == "Fail", "the instance is this job's alone"
    driver.say(processes=TAKES_ALL["processes"], used=TAKES_ALL["used"])
    _, judgement = measured()
    assert judgement.verdict == "Inconclusive"
    assert all("does not report how much they compute" in reason for reason in reasons_of(judgement))


@pytest.mark.filterwarnings("ignore:Duplicate provider")
def test_the_report_says_that_the_driver_was_not_read(
    driver: Driver, measured: Callable[[], tuple[Measurements, Judgement]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NVIDIA_VISIBLE_DEVICES")
    measurements, judgement = measured()
    assert judgement.verdict == "Fail"
    assert execution.NO_DRIVER in measurements.environment.notes
    assert measurements.environment.noise.gpu is None
