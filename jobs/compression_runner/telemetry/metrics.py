"""Prometheus metrics of one run; each label has a small, known set of values."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from compression_runner.telemetry.phase import Phase
from compressionjob.report import Progress

# From a tiny classifier to a large encoder, in steps of about 1.6.
LATENCY_BUCKETS: Final = (
    0.0001, 0.00016, 0.00025, 0.0004, 0.00063, 0.001, 0.0016, 0.0025, 0.004, 0.0063,
    0.01, 0.016, 0.025, 0.04, 0.063, 0.1, 0.16, 0.25, 0.4, 0.63, 1.0, 2.5, 6.3, 16.0,
)  # fmt: skip


class RunMetrics:
    """Listens to a run's progress, and receives its figures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._progress = Gauge(
            "compression_runner_progress_ratio", "Share of the run that is done.", registry=self.registry
        )
        self._stage = Gauge(
            "compression_runner_stage", "1 for the current stage.", ["stage", "method"], registry=self.registry
        )
        self._seconds = Gauge(
            "compression_runner_stage_seconds", "Duration of a stage.", ["stage", "method"], registry=self.registry
        )
        self._latency = Histogram(
            "compression_runner_latency_seconds",
            "Latency of one query.",
            ["model"],
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self._memory = Gauge(
            "compression_runner_peak_memory_bytes",
            "Peak memory of a fresh process that serves the model.",
            ["model"],
            registry=self.registry,
        )
        self._size = Gauge(
            "compression_runner_size_bytes", "Size of the model after a stage.", ["stage"], registry=self.registry
        )

    def started(self, phase: Phase, progress: Progress) -> None:
        """Set the current stage to 1, and remove the earlier one."""
        self._stage.clear()
        self._stage.labels(phase.title, phase.method).set(1)
        self._progress.set(progress.fraction)

    def advanced(self, progress: Progress, within: float) -> None:
        """Set the share of the run."""
        self._progress.set(progress.fraction)

    def ended(self, phase: Phase, seconds: float, progress: Progress) -> None:
        """Set the seconds of the stage."""
        self._seconds.labels(phase.title, phase.method).set(seconds)
        self._progress.set(progress.fraction)

    def size(self, stage: str, size_bytes: int) -> None:
        """Set the size of the model after a stage; `source` before the first."""
        self._size.labels(stage).set(size_bytes)

    def latencies(self, model: str, seconds: NDArray[np.float64]) -> None:
        """Observe latencies of `baseline` or `compressed`."""
        histogram = self._latency.labels(model)
        for latency in seconds:
            histogram.observe(float(latency))

    def peak_memory(self, model: str, size_bytes: float) -> None:
        """Set the peak memory of `baseline` or `compressed`."""
        self._memory.labels(model).set(size_bytes)

    def expose(self) -> bytes:
        """Return the metrics in Prometheus text format."""
        return generate_latest(self.registry)
