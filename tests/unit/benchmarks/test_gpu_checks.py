"""The checks for a GPU, rehearsed with torch's CPU in its place, and with results that differ."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.gpu import __main__ as checks
from benchmarks.gpu import calibration
from compression_runner.calibration import device


def rehearsed(out: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[int, dict[str, Any]]:
    monkeypatch.setattr("sys.argv", ["gpu", "--rehearse", "--out", str(out)])
    status = checks.main()
    return status, json.loads(out.read_text())


def test_a_rehearsal_passes_and_writes_all_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status, results = rehearsed(tmp_path / "results.json", monkeypatch)
    assert status == 0
    assert {"hessian", "inverse", "gptq", "awq", "sparsegpt", "sparsegpt 2:4", "wanda"} == set(results["calibration"])
    assert all(check["passed"] for check in results["calibration"].values())
    assert 0 < results["calibration"]["gptq"]["gpuError"] < results["calibration"]["sparsegpt 2:4"]["gpuError"] < 1
    assert results["training"]["gpuLosses"] == results["training"]["cpuLosses"]
    assert results["training"]["gpuLosses"][-1] < results["training"]["gpuLosses"][0]
    assert results["rehearsal"]


def test_a_gpu_that_computes_something_else_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = device.to_device

    def wrong(value: Any) -> Any:
        tensor = whole(value)
        return tensor * 1.05 if isinstance(tensor, torch.Tensor) and tensor.is_floating_point() else tensor

    monkeypatch.setattr(device, "to_device", wrong)
    result = calibration.check_calibration(128, torch.device("cpu"))
    assert not result["gptq"]["passed"]
    assert any("gptq" in line for line in calibration.failures(result))


def test_a_machine_without_a_gpu_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("sys.argv", ["gpu", "--out", str(tmp_path / "results.json")])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert checks.main() == 2
    assert "torch sees no GPU" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_the_random_layer_has_channels_that_matter_more_than_others() -> None:
    layer = calibration.Layer.of(64)
    norms = np.sqrt(np.square(layer.rows).sum(0))
    assert norms.max() > 5 * np.median(norms)
