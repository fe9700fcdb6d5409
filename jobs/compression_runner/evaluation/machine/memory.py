"""Peak memory of a fresh process that serves a model."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from compression_runner.evaluation.statistics.block_bootstrap import mean_interval
from compression_runner.inference.predictor import Engine, Feed
from compressionjob.estimate import Estimate

REPEATS: Final = 3
QUERIES: Final = 8
TIMEOUT_SECONDS: Final = 600


class MemoryProbeError(RuntimeError):
    """The fresh process ended without telling its memory (it was killed, or the model did not load)."""


@dataclass(frozen=True)
class MemoryFigures:
    """Peak resident memory in bytes, and what the process needs before it loads any model."""

    peak: Estimate
    floor_bytes: int


def measure_memory(
    model: Path, feed: Feed, threads: int, confidence: float, engine: Engine = "onnxruntime"
) -> MemoryFigures:
    """Return the peak resident memory of fresh processes that load `model` and answer `feed` some times.

    Raises MemoryProbeError, with the process's own last words, when one of them fails.
    """
    with tempfile.TemporaryDirectory(prefix="memory-") as folder:
        path = Path(folder) / "feed.npz"
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **dict(feed))
        runs = [_probe(model, path, threads, engine) for _ in range(REPEATS)]
    peaks = [float(run["peakBytes"]) for run in runs]
    found = mean_interval(peaks, confidence)
    return MemoryFigures(
        peak=Estimate(value=found.value, low=max(0.0, found.low), high=found.high),
        floor_bytes=max(run["floorBytes"] for run in runs),
    )


def _probe(model: Path, feed: Path, threads: int, engine: Engine) -> dict[str, int]:
    probe = [sys.executable, "-m", "compression_runner.evaluation.machine.memory_probe"]
    command = [*probe, str(model), str(feed), str(threads), str(QUERIES), engine]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    if ended.returncode != 0:
        words = ended.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise MemoryProbeError(f"the memory probe of {model.name} ended with {ended.returncode}: {words[0]}")
    figures: dict[str, int] = json.loads(ended.stdout)
    return figures
