"""What a job's status tells the metrics: its gauges while it exists, its verdict and its saved bytes once."""

import json
from collections.abc import Mapping
from typing import Any

from compression_operator import metrics
from compression_operator.metrics import JobSeries, Metrics
from compression_operator.records import JobRecord, parse_time
from compressionjob.usage import Usage


class Figures:
    """Turns written statuses into metrics."""

    def __init__(self, registry: Metrics, series: JobSeries) -> None:
        self._metrics = registry
        self._series = series

    def tell(self, job: JobRecord, status: Mapping[str, Any]) -> None:
        """Note the status that was just written for a job: ``job`` has the one before it."""
        self._show(job, status)
        self._count_cost(job, status)
        if status.get("verdict") and status.get("phase") != job.phase:
            self._metrics.verdicts.labels(status["verdict"]).inc()
            if status.get("phase") == "Succeeded":
                self._metrics.bytes_saved.inc(max(0, _size(status, "baseline") - _size(status, "compressed")))

    def recall(self, job: JobRecord) -> None:
        """Show what the status of a job says that another operator wrote."""
        self._metrics.cost.labels(job.runtime)  # Prometheus sees no increase in a series that begins with 1
        if not job.ended:
            self._show(job, json.loads(job.status_json))

    def _show(self, job: JobRecord, status: Mapping[str, Any]) -> None:
        # A job that has failed or waits makes no progress: it must not look like one that is stuck.
        progress = status.get("progress") if status.get("phase") in ("Running", "Succeeded") else None
        ratio = status.get("sizeRatio")
        plain = _plain(job, status)
        if progress is None and ratio is None and not plain:
            self._series.end(job.uid)
        else:
            self._series.show(
                job.uid,
                job.namespace,
                job.name,
                progress=None if progress is None else progress / 100,
                size_ratio=None if ratio is None else float(ratio),
                latency=_latencies(status),
                plain=plain,
            )

    def _count_cost(self, job: JobRecord, status: Mapping[str, Any]) -> None:
        """Count what came to the job's cost since its last status, whoever wrote that: a restart repeats nothing."""
        before = _usage(json.loads(job.status_json)).by_runtime()
        for runtime, cost in _usage(status).by_runtime().items():
            self._metrics.cost.labels(runtime).inc(max(0.0, cost - before.get(runtime, 0.0)))

    def end(self, uid: str) -> None:
        """Note that a job is gone."""
        self._series.end(uid)


def _plain(job: JobRecord, status: Mapping[str, Any]) -> dict[str, float]:
    times = {metrics.DEADLINE: status.get("deadlineTime"), metrics.FORECAST: status.get("expectedCompletionTime")}
    found = {name: parse_time(time).timestamp() for name, time in times.items() if time}
    cost = status.get("cost")
    if cost is not None:
        found[metrics.COST] = float(cost)
    if job.budget is not None:
        found[metrics.BUDGET] = job.budget
    return found


def _usage(status: Mapping[str, Any]) -> Usage:
    return Usage.model_validate(status.get("usage") or {})


def _size(status: Mapping[str, Any], model: str) -> int:
    return int(status.get(model, {}).get("sizeBytes") or 0)


def _latencies(status: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    return {
        (model, percentile): seconds
        for model in ("baseline", "compressed")
        for percentile, seconds in status.get(model, {}).get("latencySeconds", {}).items()
        if percentile in ("p50", "p90", "p99")
    }
