"""Calibration with torch's tensors, on the CPU in the place of a GPU, gives what it gives with NumPy."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from compression_runner.calibration import device
from compression_runner.calibration.inverse import NotInvertible, inverse_factor
from compression_runner.calibration.statistics import InputStatistics
from compression_runner.methods.prune import sparsegpt, wanda
from compression_runner.methods.quantize.weight_only import awq, gptq
from compression_runner.methods.quantize.weight_only.grid import Layout, decode, round_nearest
from tests.support.graphs import random

INPUTS, OUTPUTS = 200, 24
"""More inputs than GPTQ and SparseGPT take at once, and no multiple of a group."""
WEIGHTS = random(OUTPUTS, INPUTS, seed=31)
SYMMETRIC = Layout(4, 32, symmetric=True, stored=lambda scales: scales.astype(np.float16).astype(np.float32))
ASYMMETRIC = Layout(3, 64, symmetric=False)


def inputs() -> np.ndarray:
    mixing = random(INPUTS, INPUTS, seed=32) / 16 + np.eye(INPUTS, dtype=np.float32) * 0.2
    rows = (random(900, INPUTS, seed=33) @ mixing).astype(np.float32)
    rows[:, :3] *= 20
    return rows


def statistics() -> InputStatistics:
    collected = InputStatistics(INPUTS)
    collected.add(inputs())
    return collected


def hessian() -> np.ndarray:
    moments = statistics().hessian
    assert isinstance(moments, np.ndarray)
    return moments


@pytest.fixture
def on_tensors(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def switch() -> None:
        monkeypatch.setattr(device, "gpu", lambda: torch.device("cpu"))

    return switch


def by_gptq(layout: Layout) -> np.ndarray:
    return decode(*gptq.quantize(WEIGHTS, hessian(), layout))


def by_awq(layout: Layout) -> np.ndarray:
    collected = statistics()
    scale = awq.find_scale([(WEIGHTS, layout)], collected)
    assert scale is not None
    assert collected.hessian is not None
    return decode(*awq.quantize(WEIGHTS, collected.hessian, scale, layout)) / scale


@pytest.mark.parametrize(
    "compress",
    [
        hessian,
        lambda: inverse_factor(hessian(), 0.01),
        lambda: by_gptq(SYMMETRIC),
        lambda: by_gptq(ASYMMETRIC),
        lambda: by_awq(SYMMETRIC),
        lambda: by_awq(ASYMMETRIC),
        lambda: decode(*round_nearest(WEIGHTS, SYMMETRIC)),
        lambda: sparsegpt.prune(WEIGHTS, hessian(), 0.5, "unstructured"),
        lambda: sparsegpt.prune(WEIGHTS, hessian(), 0.5, "2:4"),
        lambda: wanda.prune(WEIGHTS, statistics().norms, 0.5, "unstructured"),
        lambda: wanda.prune(WEIGHTS, statistics().norms, 0.5, "2:4"),
    ],
)
def test_tensors_give_the_results_of_arrays(compress: Callable[[], Any], on_tensors: Callable[[], None]) -> None:
    expected = compress()
    on_tensors()
    result = compress()
    assert isinstance(result, np.ndarray)
    assert result.dtype == expected.dtype
    apart = np.abs(result - expected) > 1e-4 * np.abs(expected).max()
    # A product that is summed in another order can move a weight that lies between two codes.
    assert apart.mean() < 0.005


def test_arguments_are_not_changed(on_tensors: Callable[[], None]) -> None:
    weights, moments = WEIGHTS.copy(), hessian()
    before = moments.copy()
    for _ in range(2):
        gptq.quantize(weights, moments, SYMMETRIC)
        sparsegpt.prune(weights, moments, 0.5, "unstructured")
        on_tensors()
    np.testing.assert_array_equal(weights, WEIGHTS)
    np.testing.assert_array_equal(moments, before)


@pytest.mark.parametrize("value", [np.nan, -1e9])
def test_tensors_without_an_inverse_are_refused_as_arrays_are(value: float, on_tensors: Callable[[], None]) -> None:
    moments = hessian()
    moments[3, 4] = moments[4, 3] = value
    for _ in range(2):
        with pytest.raises(NotInvertible):
            inverse_factor(moments, 0.01)
        on_tensors()


def test_a_layer_that_exceeds_the_memory_of_the_gpu_is_computed_on_the_cpu(
    on_tensors: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    tried = []

    @device.offloaded
    def double(values: Any) -> Any:
        tried.append(type(values))
        if isinstance(values, torch.Tensor):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return values * 2

    on_tensors()
    np.testing.assert_array_equal(double(np.arange(3)), [0, 2, 4])
    assert tried == [torch.Tensor, np.ndarray]
    assert "the memory of the GPU is too small for a layer" in caplog.text


def test_a_machine_without_a_gpu_does_not_import_torch() -> None:
    code = (
        "import sys; from compression_runner.calibration import device, inverse, statistics; "
        "assert device.gpu() is None; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
