"""What the operator tells Prometheus. Label values come from constants; the number of per-job series is bounded."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from compressionjob.sla import Verdict

DEFAULT_JOB_SERIES: Final = 500

_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class JobTally(Collector):
    """``compression_operator_jobs``, counted from the cache when it is scraped."""

    def __init__(self, count: Callable[[], Tally[tuple[str, str]]]) -> None:
        self._count = count

    def collect(self) -> Iterable[Metric]:
        """One sample for each phase and reason that occurs."""
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
        """One sample for each receiver."""
        family = GaugeMetricFamily(
            "compression_operator_notifications_pending",
            "Notifications that a receiver has not taken yet, and that are still tried.",
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
        self.reconcile_seconds = Histogram(
            "compression_operator_reconcile_seconds",
            "Time to look at one job and do what must be done.",
            ("outcome",), buckets=_FAST, registry=registry,
        )  # fmt: skip
        self.reconcile_errors = Counter(
            "compression_operator_reconcile_errors", "Reconciles that failed and are tried again.",
            ("reason",), registry=registry,
        )  # fmt: skip
        self.api_requests = Counter(
            "compression_operator_api_requests", "Requests to the API server.",
            ("verb", "resource", "code"), registry=registry,
        )  # fmt: skip
        self.verdicts = Counter("compression_operator_verdicts", "Verdicts of jobs.", ("verdict",), registry=registry)
        for verdict in get_args(Verdict):
            self.verdicts.labels(verdict)  # Prometheus sees no increase in a series that begins with 1
        self.apply_to_child = Histogram(
            "compression_operator_apply_to_child_seconds",
            "Time from the first sight of a CompressionJob to its child Job.",
            buckets=_FAST, registry=registry,
        )  # fmt: skip
        self.bytes_saved = Counter(
            "compression_operator_bytes_saved", "Bytes by which published models are smaller.", registry=registry
        )
        self.leader = Gauge("compression_operator_leader", "1 while this replica is the leader.", registry=registry)
        self.events = Counter(
            "compression_operator_events", "Events about CompressionJobs: sent, repeated, dropped or failed.",
            ("outcome",), registry=registry,
        )  # fmt: skip
        self.progress_polls = Counter(
            "compression_operator_progress_polls", "Questions to pods about their progress.",
            ("outcome",), registry=registry,
        )  # fmt: skip
        self.notifications = Counter(
            "compression_operator_notifications", "Notifications: delivered, dropped, or not taken and tried again.",
            ("receiver", "result"), registry=registry,
        )  # fmt: skip


class JobSeries(Collector):
    """Gauges by job: for at most ``limit`` jobs at a time, and no longer than the job exists."""

    def __init__(self, limit: int = DEFAULT_JOB_SERIES) -> None:
        self._limit = limit
        self._names: dict[str, tuple[str, str]] = {}
        self._progress: dict[str, float] = {}
        self._size_ratio: dict[str, float] = {}
        self._latency: dict[str, dict[tuple[str, str], float]] = {}

    def show(
        self,
        uid: str,
        namespace: str,
        name: str,
        *,
        progress: float | None = None,
        size_ratio: float | None = None,
        latency: Mapping[tuple[str, str], float] | None = None,
    ) -> None:
        """Show a job's figures, and no other ones of it; ``latency`` is in seconds by model and percentile.

        Beyond the limit a job is not shown.
        """
        if uid not in self._names and len(self._names) >= self._limit:
            return
        self.end(uid)
        self._names[uid] = (namespace, name)
        if progress is not None:
            self._progress[uid] = progress
        if size_ratio is not None:
            self._size_ratio[uid] = size_ratio
        if latency:
            self._latency[uid] = dict(latency)

    def end(self, uid: str) -> None:
        """Forget a job."""
        self._names.pop(uid, None)
        self._progress.pop(uid, None)
        self._size_ratio.pop(uid, None)
        self._latency.pop(uid, None)

    def collect(self) -> Iterable[Metric]:
        """The series of all jobs that are shown."""
        progress = _job_gauge("compression_operator_job_progress_ratio", "Share of a job that is done.")
        ratio = _job_gauge("compression_operator_job_size_ratio", "Size of a job's result divided by its baseline's.")
        latency = _job_gauge(
            "compression_operator_job_latency_seconds", "Latency of a job's models.", "model", "percentile"
        )
        for uid, value in self._progress.items():
            progress.add_metric(self._names[uid], value)
        for uid, value in self._size_ratio.items():
            ratio.add_metric(self._names[uid], value)
        for uid, values in self._latency.items():
            for key, seconds in values.items():
                latency.add_metric((*self._names[uid], *key), seconds)
        return [progress, ratio, latency]


def _job_gauge(name: str, text: str, *more: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=("namespace", "job", *more))
