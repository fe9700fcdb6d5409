"""Peak memory of a fresh process that serves a model."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.evaluation.statistics.block_bootstrap import mean_interval
from compression_runner.evaluation.statistics.power import mean_reach
from compression_runner.inference.placement import CPU_PROVIDER
from compression_runner.inference.predictor import Engine, Feed
from compression_runner.inference.providers import Providers, providers_of
from compressionjob.estimate import Estimate
from compressionjob.tasks import Task

LOOKS_AT: Final = (3, 5, 8, 12)
"""Processes at each look; with fewer than three, Student's interval is far too wide to decide."""
VARIATION: Final = 0.01
"""Least standard deviation that the interval assumes, as a share of the peaks (MiniLM in onnxruntime: 0.9 %): if three
processes have the same peak, a fourth can still differ."""
QUERIES: Final = 8
TIMEOUT_SECONDS: Final = 600


class MemoryProbeError(RuntimeError):
    """The fresh process did not report its memory: it was killed, the model did not load, or it took too long."""


@dataclass(frozen=True)
class MemoryFigures:
    """Peak resident memory in bytes of each fresh process, and `floor_bytes`, its memory before it loads a model.

    `confidence` is that of each look's intervals. `gpu_peaks` are bytes on the GPU that measures, of each process of
    which the driver reports them: onnxruntime keeps what it has once allocated there.
    """

    peaks: tuple[float, ...]
    floor_bytes: int
    confidence: float
    gpu_peaks: tuple[float, ...] = ()

    @property
    def gpu_value(self) -> int | None:
        """The mean of the peaks on the GPU; None if they are unknown."""
        return round(sum(self.gpu_peaks) / len(self.gpu_peaks)) if self.gpu_peaks else None

    @property
    def value(self) -> float:
        """The mean of the peaks."""
        return sum(self.peaks) / len(self.peaks)

    @property
    def peak(self) -> Estimate | None:
        """The mean peak with its interval; None for a single process, which has no interval."""
        if len(self.peaks) < 2:
            return None
        interval = mean_interval(self.peaks, self.confidence)
        least = mean_reach(len(self.peaks), VARIATION, self.confidence) * interval.value
        low, high = min(interval.low, interval.value - least), max(interval.high, interval.value + least)
        return Estimate(value=interval.value, low=max(0.0, low), high=high)


class MemoryProbes:
    """Measures one model in fresh processes, one after the other."""

    def __init__(
        self,
        model: Path,
        feed: Feed,
        threads: int,
        confidence: float,
        engine: Engine,
        task: Task = "onnx",
        gpu: str = "",
    ) -> None:
        """`gpu` is the UUID of the GPU that measures; "" without one."""
        self._model, self._task, self._feed, self._threads = model, task, feed, threads
        self._engine, self._gpu = engine, gpu
        self.figures = MemoryFigures((), 0, confidence)

    def measure(self, processes: int) -> MemoryFigures:
        """Return the figures of `processes` processes in total, including those of earlier calls.

        Raises MemoryProbeError, with the last line of the process's stderr, when one of them fails.
        """
        with tempfile.TemporaryDirectory(prefix="memory-") as folder:
            path = Path(folder) / "feed.npz"
            with path.open("wb") as file:
                np.savez(file, allow_pickle=False, **{name: _storable(array) for name, array in self._feed.items()})
            while len(self.figures.peaks) < processes:
                providers = json.dumps(_providers(self._engine, self._model))
                how = [str(self._threads), str(QUERIES), self._engine, providers, self._task, self._gpu]
                run = _probe(self._model, path, how)
                floor = max(self.figures.floor_bytes, run["floorBytes"])
                on_gpu = run.get("gpuBytes")
                self.figures = replace(
                    self.figures,
                    peaks=(*self.figures.peaks, float(run["peakBytes"])),
                    floor_bytes=floor,
                    gpu_peaks=(*self.figures.gpu_peaks, *([] if on_gpu is None else [float(on_gpu)])),
                )
        return self.figures


def _storable(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the array without Python objects: numpy stores texts as fixed-width strings."""
    return array.astype(np.str_) if array.dtype.kind == "O" else array


def _providers(engine: Engine, model: Path) -> Providers:
    """Return the providers of a session of onnxruntime; on a GPU, the peak is the memory of the host."""
    if engine == "onnxruntime-cuda" or engine == "onnxruntime-tensorrt":
        return providers_of(engine, model)
    return [(CPU_PROVIDER, {})]


def _probe(model: Path, feed: Path, how: Sequence[str]) -> dict[str, Any]:
    probe = [sys.executable, "-m", "compression_runner.evaluation.machine.memory_probe"]
    command = [*probe, str(model), str(feed), *how]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        late = f"the memory probe of {model.name} did not answer two queries in {TIMEOUT_SECONDS:g} s"
        raise MemoryProbeError(late) from error
    if ended.returncode != 0:
        words = ended.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise MemoryProbeError(f"the memory probe of {model.name} ended with {ended.returncode}: {words[0]}")
    figures: dict[str, Any] = json.loads(ended.stdout)
    return figures
