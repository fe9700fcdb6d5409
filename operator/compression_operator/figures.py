"""What a job's status tells the metrics: its gauges while it exists, its verdict and its saved bytes once."""

from collections.abc import Mapping
from typing import Any

from compression_operator.metrics import JobSeries, Metrics
from compression_operator.records import JobRecord


class Figures:
    """Turns written statuses into metrics."""

    def __init__(self, metrics: Metrics, series: JobSeries) -> None:
        self._metrics = metrics
        self._series = series

    def tell(self, job: JobRecord, status: Mapping[str, Any]) -> None:
        """Note the status that was just written for a job."""
        # A job that has failed or waits makes no progress: it must not look like one that is stuck.
        progress = status.get("progress") if status.get("phase") in ("Running", "Succeeded") else None
        ratio = status.get("sizeRatio")
        if progress is None and ratio is None:
            self._series.end(job.uid)
        else:
            self._series.show(
                job.uid,
                job.namespace,
                job.name,
                progress=None if progress is None else progress / 100,
                size_ratio=None if ratio is None else float(ratio),
                latency=_latencies(status),
            )
        if status.get("verdict") and job.status().verdict is None:
            self._metrics.verdicts.labels(status["verdict"]).inc()
        if status.get("phase") == "Succeeded" != job.phase:
            self._metrics.bytes_saved.inc(max(0, _size(status, "baseline") - _size(status, "compressed")))

    def end(self, uid: str) -> None:
        """Note that a job is gone."""
        self._series.end(uid)


def _size(status: Mapping[str, Any], model: str) -> int:
    return int(status.get(model, {}).get("sizeBytes") or 0)


def _latencies(status: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    return {
        (model, percentile): seconds
        for model in ("baseline", "compressed")
        for percentile, seconds in status.get(model, {}).get("latencySeconds", {}).items()
        if percentile in ("p50", "p90", "p99")
    }
