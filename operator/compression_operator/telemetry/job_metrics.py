"""Metrics from the statuses of jobs: gauges while a job exists; counters for its verdict, retries and end."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from compression_operator.records.job import JobRecord
from compression_operator.records.reading import parse_time
from compression_operator.records.runtime import RuntimeRecord
from compression_operator.telemetry.metrics import JobSeries, Metrics
from compression_operator.telemetry.notes import Note
from compressionjob.objectives import QualityMetric
from compressionjob.status import TERMINAL_PHASES
from compressionjob.usage import Usage
from compressionjob.verdict import ObjectiveResult

# Other names in a pod's summary would be unbounded labels.
_PERCENTILES: Final = ("p50", "p90", "p99")
_QUALITIES: Final = get_args(QualityMetric)

Status = Mapping[str, Any]


class JobMetrics:
    """Turns statuses and Events into metrics."""

    def __init__(self, metrics: Metrics, series: JobSeries) -> None:
        self._metrics = metrics
        self._series = series

    def record_status(self, job: JobRecord, status: Status) -> None:
        """Update the metrics with the status that was just written for a job."""
        before: Status = json.loads(job.status_json)
        after = job.rewritten({}, status)
        self._show(after, status)
        if status.get("verdict") and not before.get("verdict"):
            self._metrics.verdicts.labels(status["verdict"]).inc()
        self._count_cost(before, status)
        if after.phase == job.phase or after.phase not in TERMINAL_PHASES:
            return
        self._metrics.jobs_ended.labels(after.phase, after.reason).inc()
        if after.phase == "Succeeded" and status.get("verdict"):
            self._metrics.bytes_saved.inc(max(0, _size(status, "baseline") - _size(status, "compressed")))

    def restore(self, job: JobRecord) -> None:
        """Show a job whose status was written by another replica, or before this one started."""
        if job.uid not in self._series:
            self._show(job, json.loads(job.status_json))

    def expect_cost(self, runtime: RuntimeRecord) -> None:
        """Begin the series of a runtime's cost at 0: Prometheus sees no increase in one that begins with 1.

        It takes the record of an existing runtime, since a name in a job can be any text.
        """
        self._metrics.cost.labels(runtime.name)

    def record_event(self, note: Note) -> None:
        """Count a failed attempt."""
        if note.cause:
            self._metrics.retries.labels(note.cause).inc()

    def remove(self, uid: str) -> None:
        """Remove the series of a deleted job."""
        self._series.end(uid)

    def _count_cost(self, before: Status, after: Status) -> None:
        """Count the cost since a job's last status, which any replica may have written."""
        paid = _usage(before).by_runtime()
        for runtime, cost in _usage(after).by_runtime().items():
            self._metrics.cost.labels(runtime).inc(max(0.0, cost - paid.get(runtime, 0.0)))

    def _show(self, job: JobRecord, status: Status) -> None:
        figures = {
            ("info", job.phase, job.reason, status.get("verdict") or "", job.runtime): 1.0,
            **dict(_progress(status)),
            **dict(_plans(job, status)),
            **dict(_results(status)),
            **dict(_space(status)),
            **dict(_margins(status)),
        }
        self._series.show(job.uid, job.namespace, job.name, figures, running=job.phase == "Running")


def _progress(status: Status) -> Iterator[tuple[tuple[str, ...], float]]:
    # No series for a job that has failed or waits: it would look like a stuck one.
    if status.get("progress") is not None and status.get("phase") in ("Running", "Succeeded"):
        yield ("progress_ratio",), status["progress"] / 100


def _plans(job: JobRecord, status: Status) -> Iterator[tuple[tuple[str, ...], float]]:
    for name, field in (("deadline_seconds", "deadlineTime"), ("forecast_finish_seconds", "expectedCompletionTime")):
        if status.get(field):
            yield (name,), parse_time(status[field]).timestamp()
    if status.get("cost") is not None:
        yield ("cost",), float(status["cost"])
    if job.budget is not None:
        yield ("budget",), job.budget


def _results(status: Status) -> Iterator[tuple[tuple[str, ...], float]]:
    if status.get("sizeRatio") is not None:
        yield ("size_ratio",), float(status["sizeRatio"])
    for model in ("baseline", "compressed"):
        side = status.get(model, {})
        for name, field in (
            ("size_bytes", "sizeBytes"),
            ("peak_memory_bytes", "peakMemoryBytes"),
            ("throughput_per_second", "throughputPerSecond"),
        ):
            if side.get(field) is not None:
                yield (name, model), side[field]
        for percentile, seconds in side.get("latencySeconds", {}).items():
            if percentile in _PERCENTILES:
                yield ("latency_seconds", model, percentile), seconds
        for metric, value in side.get("quality", {}).items():
            if metric in _QUALITIES:
                yield ("quality", model, metric), value


def _space(status: Status) -> Iterator[tuple[tuple[str, ...], float]]:
    space = status.get("space") or {}
    for kind, field in (("checkpoints", "checkpointBytes"), ("reports", "reportBytes"), ("result", "resultBytes")):
        if space.get(field) is not None:
            yield ("space_bytes", kind), space[field]


def _margins(status: Status) -> Iterator[tuple[tuple[str, ...], float]]:
    for item in status.get("objectives", ()):
        result = ObjectiveResult.model_validate(item)
        margin = _margin(result)
        if margin is not None:
            yield ("margin_ratio", result.name), margin


def _margin(result: ObjectiveResult) -> float | None:
    """Return the remaining share of the limit at the interval's worse end: below 0 if the limit may be broken."""
    at_most = result.direction == "at most"
    bound = result.high if at_most else result.low
    worst = result.measured if bound is None else bound
    if worst is None or not result.limit:
        return None
    return (result.limit - worst if at_most else worst - result.limit) / abs(result.limit)


def _size(status: Status, model: str) -> int:
    return int(status.get(model, {}).get("sizeBytes") or 0)


def _usage(status: Status) -> Usage:
    return Usage.model_validate(status.get("usage") or {})
