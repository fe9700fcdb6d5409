"""Peak memory of fresh processes that serve real, tiny models."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from compression_runner.evaluation.machine import memory, memory_probe
from compression_runner.evaluation.machine.memory import LOOKS_AT, MemoryFigures, MemoryProbeError, MemoryProbes
from compression_runner.evaluation.statistics.alpha_spending import each_look

MEBIBYTE = 1 << 20


def test_a_larger_model_needs_more_memory(linear_model: Callable[..., Path]) -> None:
    feed = {"x": np.ones((1, 2048), dtype=np.float32)}
    weights = np.random.default_rng(0).normal(size=(2048, 4096)).astype(np.float32)
    small, large = linear_model("small", weights[:, :16]), linear_model("large", weights)
    probes = [MemoryProbes(model, feed, 1, 0.95, "onnxruntime") for model in (small, large)]
    peaks = [probe.measure(1) for probe in probes]
    assert peaks[1].value - peaks[0].value > 25 * MEBIBYTE, "the weights alone are 32 MiB"
    assert all(0 < figures.floor_bytes < figures.value for figures in peaks)
    assert peaks[0].peak is None, "one process has no interval"
    more = probes[0].measure(3)
    assert more.peaks[:1] == peaks[0].peaks, "those that have run count"
    assert more.peak is not None
    assert more.peak.low <= more.peak.value <= more.peak.high


@pytest.mark.parametrize("kind", ["normal", "two levels", "some larger"])
def test_looks_at_few_processes_keep_the_error_rate(kind: str) -> None:
    """Fresh processes reach one of two peaks; the limit is the true mean, so any decision is wrong."""
    generator, runs, wrong = np.random.default_rng(0), 400, 0
    for _ in range(runs):
        drawn, truth = {
            "normal": (generator.normal(100.0, 1.0, LOOKS_AT[-1]), 100.0),
            "two levels": (100.0 + (generator.random(LOOKS_AT[-1]) < 0.5), 100.5),
            "some larger": (100.0 + 2.0 * (generator.random(LOOKS_AT[-1]) < 0.2), 100.4),
        }[kind]
        figures = (MemoryFigures(tuple(drawn[:count]), 0, each_look(0.95, len(LOOKS_AT))) for count in LOOKS_AT)
        peaks = [one.peak for one in figures]
        wrong += any(peak is None or not peak.low <= truth <= peak.high for peak in peaks)
    assert wrong <= 0.05 * runs


def test_the_probe_imports_neither_torch_nor_the_runner() -> None:
    program = (
        "import sys, compression_runner.evaluation.machine.memory_probe as probe;"
        "print(sorted({'torch', 'transformers', 'pydantic', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_a_model_that_does_not_load_reports_the_cause(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"this is no model")
    with pytest.raises(MemoryProbeError, match=r"broken\.onnx ended with 1:.*"):
        MemoryProbes(broken, {"x": np.ones((1, 2), dtype=np.float32)}, 1, 0.95, "onnxruntime").measure(1)


def test_a_model_that_takes_too_long_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "TIMEOUT_SECONDS", 0.01)
    feed = {"x": np.ones((1, 2), dtype=np.float32)}
    with pytest.raises(MemoryProbeError, match=r"slow\.onnx did not answer two queries in 0\.01 s"):
        MemoryProbes(tmp_path / "slow.onnx", feed, 1, 0.95, "onnxruntime").measure(1)


@pytest.mark.parametrize(("seconds", "expected"), [(1.0, 8), (15.0, 3), (100.0, 2)])
def test_a_slow_model_gets_fewer_queries(
    seconds: float,
    expected: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    feeds: list[object] = []
    clock = itertools.count()
    np.savez(tmp_path / "feed.npz", x=np.ones(2))
    monkeypatch.setattr(memory_probe, "_onnxruntime", lambda threads, providers: (lambda model: feeds.append, 0))
    monkeypatch.setattr(memory_probe, "time", SimpleNamespace(monotonic=lambda: next(clock) * seconds))
    memory_probe.main("m.onnx", str(tmp_path / "feed.npz"), "1", "8", "onnxruntime", "[]", "onnx")
    assert len(feeds) == expected
    assert json.loads(capsys.readouterr().out)["peakBytes"] > 0
