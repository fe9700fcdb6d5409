"""GPTQ, AWQ, SparseGPT and Wanda on a GPU, beside the same code on the CPU: results, seconds and memory."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from compression_runner.calibration import device
from compression_runner.calibration.inverse import inverse_factor
from compression_runner.calibration.statistics import InputStatistics
from compression_runner.methods.prune import sparsegpt, wanda
from compression_runner.methods.quantize.weight_only import awq, gptq
from compression_runner.methods.quantize.weight_only.grid import Layout, decode

LAYOUT: Final = Layout(4, 128, symmetric=True)
CHANGED_WEIGHTS: Final = 0.01
"""Largest share of weights that may differ: a sum in another order moves weights that lie between two codes."""
CHANGED_ERROR: Final = 0.01
"""Largest relative difference of the error of the layer's outputs."""
Matrix = NDArray[np.floating]


@dataclass(frozen=True)
class Layer:
    """A random layer: weights (outputs, inputs), and rows of its input, some channels of which are far larger."""

    weights: NDArray[np.float32]
    rows: NDArray[np.float32]

    @classmethod
    def of(cls, size: int, seed: int = 0) -> "Layer":
        """Return a layer with as many outputs as inputs."""
        random = np.random.default_rng(seed)
        rows = random.standard_normal((4 * size, size), np.float32)
        rows += random.standard_normal((4 * size, 1), np.float32)  # correlated channels
        rows[:, :: size // 8] *= 20
        return cls(random.standard_normal((size, size), np.float32) / np.float32(size**0.5), rows)

    def statistics(self) -> InputStatistics:
        """Return the statistics of its input."""
        collected = InputStatistics(self.rows.shape[1])
        collected.add(self.rows)
        return collected

    def error(self, result: Matrix) -> float:
        """Return the mean squared error of its outputs, relative to them."""
        outputs = self.rows[:256] @ self.weights.T
        return float(np.square(self.rows[:256] @ (self.weights - result).T).mean() / np.square(outputs).mean())


def check_calibration(size: int, gpu: torch.device) -> dict[str, Any]:
    """Return for each algorithm seconds on both, memory of the GPU, and how far the results differ."""
    layer = Layer.of(size)
    with _on(gpu):
        _run_all(Layer.of(128))  # the first use of a GPU loads its libraries
    on_cpu = _run_all(layer, None)
    on_gpu = _run_all(layer, gpu)
    checks = {}
    for name, (result, seconds, _) in on_cpu.items():
        other, gpu_seconds, peak = on_gpu[name]
        checks[name] = {
            "cpuSeconds": round(seconds, 4),
            "gpuSeconds": round(gpu_seconds, 4),
            "gpuPeakBytes": peak,
            **_difference(layer, name, result, other),
        }
    return checks


def _run_all(layer: Layer, gpu: torch.device | None = None) -> dict[str, tuple[Any, float, int]]:
    with _on(gpu):
        collected, *first = _timed(layer.statistics, gpu)
        hessian = collected.hessian
        if hessian is None:
            raise ValueError("the statistics lack X^T X")

        def by_awq() -> Matrix:
            scale = awq.find_scale([(layer.weights, LAYOUT)], collected)
            result = decode(*awq.quantize(layer.weights, hessian, scale, LAYOUT))
            return result if scale is None else result / scale

        results: dict[str, tuple[Any, float, int]] = {"hessian": (hessian, *first)}
        for name, compute in (
            ("inverse", lambda: inverse_factor(hessian, 0.01)),
            ("gptq", lambda: decode(*gptq.quantize(layer.weights, hessian, LAYOUT))),
            ("awq", by_awq),
            ("sparsegpt", lambda: sparsegpt.prune(layer.weights, hessian, 0.5, "unstructured")),
            ("sparsegpt 2:4", lambda: sparsegpt.prune(layer.weights, hessian, 0.5, "2:4")),
            ("wanda", lambda: wanda.prune(layer.weights, collected.norms, 0.5, "unstructured")),
        ):
            results[name] = _timed(compute, gpu)
        return results


def _timed(compute: Callable[[], Any], gpu: torch.device | None) -> tuple[Any, float, int]:
    """Return the result, the seconds, and the peak of the GPU's memory for tensors in bytes."""
    card = gpu is not None and gpu.type == "cuda"
    if card:
        torch.cuda.reset_peak_memory_stats(gpu)
    start = time.perf_counter()
    result = compute()
    seconds = time.perf_counter() - start
    return result, seconds, torch.cuda.max_memory_allocated(gpu) if card else 0


def _on(gpu: torch.device | None) -> Any:
    return patch.object(device, "gpu", lambda: gpu)


def _difference(layer: Layer, name: str, one: Matrix, other: Matrix) -> dict[str, Any]:
    apart = np.abs(one - other) > 1e-4 * np.abs(one).max()
    share = float(apart.mean())
    if name in ("hessian", "inverse"):
        return {"changed": share, "passed": share <= CHANGED_WEIGHTS}
    errors = layer.error(one), layer.error(other)
    moved = abs(errors[1] / errors[0] - 1)
    passed = share <= CHANGED_WEIGHTS and moved <= CHANGED_ERROR
    return {"changed": share, "cpuError": errors[0], "gpuError": errors[1], "passed": passed}


def failures(checks: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each check that did not pass."""
    for name, check in checks.items():
        if not check["passed"]:
            yield f"{name}: {check['changed']:.2%} of the values differ between the GPU and the CPU"
