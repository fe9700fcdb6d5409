"""The operator's Prometheus metrics. Label values are constants; the number of per-job series is bounded."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from compressionjob.conditions import FAILURE_REASONS
from compressionjob.verdict import Verdict

DEFAULT_JOB_SERIES: Final = 500
STATUS_LEVELS: Final = ("full", "minimal", "least")

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class JobTally(Collector):
    """``compression_operator_jobs``, counted from the cache when it is scraped."""

    def __init__(self, count: Callable[[], Tally[tuple[str, str]]]) -> None:
        self._count = count

    def collect(self) -> Iterable[Metric]:
        """Return one sample for each phase and reason that occurs."""
        family = GaugeMetricFamily(
            "compression_operator_jobs", "CompressionJobs by phase and reason.", labels=("phase", "reason")
        )
        for (phase, reason), number in self._count().items():
            family.add_metric((phase, reason), number)
        return [family]


class PendingNotifications(Collector):
    """``compression_operator_notifications_pending``, counted from the cache when it is scraped."""

    def __init__(self, count: Callable[[], Tally[str]]) -> None:
        self._count = count

    def collect(self) -> Iterable[Metric]:
        """Return one sample for each receiver."""
        family = GaugeMetricFamily(
            "compression_operator_notifications_pending",
            "Notifications that a receiver has not accepted yet, and that are still retried.",
            labels=("receiver",),
        )
        for receiver, number in self._count().items():
            family.add_metric((receiver,), number)
        return [family]


class Metrics:
    """The metrics of one operator process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.queue_depth = Gauge("compression_operator_queue_depth", "Jobs that wait for a worker.", registry=registry)
        self.queue_age = Gauge(
            "compression_operator_queue_age_seconds", "Time that the next job has waited for a worker.",
            registry=registry,
        )  # fmt: skip
        self.reconcile_seconds = Histogram(
            "compression_operator_reconcile_seconds",
            "Duration of one reconcile of a job.",
            ("outcome",), buckets=_FAST, registry=registry,
        )  # fmt: skip
        self.reconcile_errors = Counter(
            "compression_operator_reconcile_errors", "Reconciles that failed and are retried.",
            ("reason",), registry=registry,
        )  # fmt: skip
        self.api_requests = Counter(
            "compression_operator_api_requests", "Requests to the API server.",
            ("verb", "resource", "code"), registry=registry,
        )  # fmt: skip
        self.status_refused = Counter(
            "compression_operator_status_refused",
            "Statuses that the API server refused (422), by how much of the status it was: full, minimal or least.",
            ("status",), registry=registry,
        )  # fmt: skip
        for level in STATUS_LEVELS:
            self.status_refused.labels(level)  # Prometheus sees no increase in a series that begins with 1
        self.verdicts = Counter("compression_operator_verdicts", "Verdicts of jobs.", ("verdict",), registry=registry)
        for verdict in get_args(Verdict):
            self.verdicts.labels(verdict)
        self.jobs_ended = Counter(
            "compression_operator_jobs_ended", "Jobs that ended, by phase and reason.",
            ("phase", "reason"), registry=registry,
        )  # fmt: skip
        self.retries = Counter(
            "compression_operator_retries", "Failed attempts that are retried, by reason.",
            ("reason",), registry=registry,
        )  # fmt: skip
        for reason in FAILURE_REASONS:
            self.jobs_ended.labels("Failed", reason)
            self.retries.labels(reason)
        self.apply_to_child = Histogram(
            "compression_operator_apply_to_child_seconds",
            "Time from the first event of a CompressionJob to the creation of its child Job.",
            buckets=_FAST, registry=registry,
        )  # fmt: skip
        self.bytes_saved = Counter(
            "compression_operator_bytes_saved",
            "Bytes by which published models are smaller than their baselines.",
            registry=registry,
        )
        self.cost = Counter(
            "compression_operator_cost", "Cost of pods by runtime, in the currency of its price per hour.",
            ("runtime",), registry=registry,
        )  # fmt: skip
        self.leader = Gauge("compression_operator_leader", "1 while this replica is the leader.", registry=registry)
        self.events = Counter(
            "compression_operator_events", "Events about CompressionJobs: sent, repeated, dropped or failed.",
            ("outcome",), registry=registry,
        )  # fmt: skip
        self.watch_events = Counter(
            "compression_operator_watch_events", "Watch events from the API server, by resource.",
            ("resource",), registry=registry,
        )  # fmt: skip
        self.watch_restarts = Counter(
            "compression_operator_watch_restarts", "Restarts of all watches after an error of one of them.",
            registry=registry,
        )  # fmt: skip
        self.watch_missing = Gauge(
            "compression_operator_watch_missing_objects",
            "Objects of the last comparison that no watch had reported seconds later.",
            registry=registry,
        )  # fmt: skip
        self.progress_polls = Counter(
            "compression_operator_progress_polls", "Progress requests to pods.",
            ("outcome",), registry=registry,
        )  # fmt: skip
        self.notifications = Counter(
            "compression_operator_notifications", "Notifications: delivered, dropped, or refused and retried.",
            ("receiver", "result"), registry=registry,
        )  # fmt: skip

    def count_request(self, verb: str, resource: str, code: str) -> None:
        """Count a request to the API server; `code` is "none" without a response."""
        self.api_requests.labels(verb, resource, code).inc()


JOB_GAUGES: Final = {
    "info": ("State of a job: always 1.", ("phase", "reason", "verdict", "runtime")),
    "progress_ratio": ("Share of a job that is done.", ()),
    "size_ratio": ("Size of a job's compressed model divided by the size of its baseline.", ()),
    "size_bytes": ("Size of a job's models.", ("model",)),
    "space_bytes": ("Bytes of a job's files in its store, by kind.", ("kind",)),
    "peak_memory_bytes": ("Peak memory of a fresh process that serves one of a job's models.", ("model",)),
    "latency_seconds": ("Latency of a job's models.", ("model", "percentile")),
    "throughput_per_second": ("Samples per second of a job's models.", ("model",)),
    "quality": ("Quality of a job's models, by metric.", ("model", "metric")),
    "deadline_seconds": ("Unix time at which a job's deadline passes, while it is not suspended.", ()),
    "forecast_finish_seconds": ("Unix time at which a running job is expected to end.", ()),
    "cost": ("Cost of a job's pods so far, in the currency of the price per hour.", ()),
    "budget": ("Maximum cost of a job's pods.", ()),
    "margin_ratio": (
        "Distance from the worse end of the interval to the limit, divided by the limit; negative beyond the limit.",
        ("objective",),
    ),
}
"""Gauges of one job, ``compression_operator_job_...``: their help text, and labels besides namespace and job."""

JobFigures = Mapping[tuple[str, ...], float]
"""Figures of one job: a gauge's name and its labels' values -> value."""


class JobSeries(Collector):
    """Gauges of jobs, for at most ``limit`` jobs at a time, until a job is deleted."""

    def __init__(self, limit: int = DEFAULT_JOB_SERIES) -> None:
        self._limit = limit
        self._names: dict[str, tuple[str, str]] = {}
        self._figures: dict[str, JobFigures] = {}
        self._idle: dict[str, None] = {}

    def __contains__(self, uid: str) -> bool:
        return uid in self._names

    def show(self, uid: str, namespace: str, name: str, figures: JobFigures, *, running: bool = True) -> None:
        """Replace a job's figures.

        Beyond the limit, a running job replaces the one that has been idle longest; other jobs are not shown.
        """
        if uid not in self._names and len(self._names) >= self._limit:
            if not running or not self._idle:
                return
            self.end(next(iter(self._idle)))
        self._names[uid] = (namespace, name)
        self._figures[uid] = figures
        if running:
            self._idle.pop(uid, None)
        else:
            self._idle.setdefault(uid)

    def end(self, uid: str) -> None:
        """Forget a job."""
        self._names.pop(uid, None)
        self._figures.pop(uid, None)
        self._idle.pop(uid, None)

    def clear(self) -> None:
        """Forget all jobs: a replica that does not lead does not update them."""
        for shown in (self._names, self._figures, self._idle):
            shown.clear()

    def collect(self) -> Iterable[Metric]:
        """Return the series of all jobs that are shown."""
        families = {name: job_gauge(name, text, *labels) for name, (text, labels) in JOB_GAUGES.items()}
        for uid, figures in self._figures.items():
            for (name, *labels), value in figures.items():
                families[name].add_metric((*self._names[uid], *labels), value)
        return families.values()


def job_gauge(name: str, text: str, *more: str) -> GaugeMetricFamily:
    """Return a gauge by job."""
    return GaugeMetricFamily(f"compression_operator_job_{name}", text, labels=("namespace", "job", *more))
