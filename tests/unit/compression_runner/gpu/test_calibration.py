"""A stage that calibrates on a GPU reports it, and its result stays a file of the host."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from compression_runner.calibration import device
from compression_runner.gpu import watch
from compressionjob.methods.prune import Prune
from compressionjob.methods.registry import Quantize
from tests.support.graphs import language_model
from tests.support.nvml.driver import UUID, Driver
from tests.support.stage_data import array_samples
from tests.support.stages import answers, run_stage, sealed_graph

TOKENS = np.random.default_rng(5).integers(0, 40, (16, 12))
STAGES: dict[str, Any] = {
    "prune": Prune.model_validate({"method": "sparsegpt", "sparsity": 0.5}),
    "quantize": Quantize.model_validate(
        {"method": "weight-only", "dtype": "int4", "algorithm": "gptq", "groupSize": 32}
    ),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_calibration_reports_the_energy_of_the_gpu(
    stage: str, tmp_path: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = sealed_graph(language_model(), tmp_path / "model")
    samples = array_samples(tokens=TOKENS)

    def calibrated(name: str, **more: Any) -> tuple[dict[str, Any], np.ndarray]:
        outcome = run_stage(stage, model, STAGES[stage], tmp_path / name, data=samples, **more)
        return dict(outcome.details), answers(outcome.artifact, {"tokens": TOKENS})

    details, expected = calibrated("on-the-cpu")
    assert "gpu" not in details
    monkeypatch.setattr(device, "gpu", lambda: torch.device("cpu"))
    monkeypatch.setattr(device, "_uuid", lambda _device: UUID)
    monkeypatch.setattr(watch, "EVERY", 0.0)
    details, result = calibrated("on-the-gpu", advance=lambda share: driver.say(energy=round(5_000_000 + share * 1e6)))
    assert details["gpu"]["energyJoules"] == 1000.0
    assert details["gpu"]["looks"] > 1
    assert driver.times_open == 0
    np.testing.assert_allclose(result, expected, atol=0.05 * np.abs(expected).max())
