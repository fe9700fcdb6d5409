"""Gauges from the cache at each scrape: the oldest jobs by phase, running jobs by runtime, and stalled jobs."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from compression_operator.cache.cache import Cache
from compression_operator.records.reading import parse_time
from compression_operator.records.runtime import RuntimeRecord
from compression_operator.telemetry.metrics import DEFAULT_JOB_SERIES, job_gauge
from compressionjob.field_types import parse_quantity
from compressionjob.measuring import SHARED

UNKNOWN: Final = "unknown"
"""Label of jobs and pods that name a missing runtime: users choose that name, so it must not become a label."""


class FleetSeries(Collector):
    """Gauges about unfinished jobs. ``last_progress`` returns when pods advanced: Unix times by uid of the job."""

    def __init__(
        self,
        cache: Cache,
        last_progress: Callable[[], Mapping[str, float]],
        *,
        limit: int = DEFAULT_JOB_SERIES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._cache = cache
        self._last_progress = last_progress
        self._limit = limit
        self._now = now

    def collect(self) -> Iterable[Metric]:
        """Return the gauges as of now."""
        oldest: dict[tuple[str, str], str] = {}
        running: Counter[str] = Counter()
        for job in self._cache.jobs():
            if job.ended:
                continue
            key = (job.phase, job.reason)
            oldest[key] = min(job.since, oldest.get(key, job.since))
            if job.phase == "Running":
                running[job.present_runtime] += 1
        return [self._oldest(oldest), *self._runtimes(running), self._slots(), self._progress_times()]

    def _oldest(self, since: Mapping[tuple[str, str], str]) -> Metric:
        family = GaugeMetricFamily(
            "compression_operator_oldest_job_seconds",
            "Time that the oldest job of a phase and reason has spent there.",
            labels=("phase", "reason"),
        )
        for key, moment in since.items():
            if moment:
                family.add_metric(key, max(0.0, self._now() - parse_time(moment).timestamp()))
        return family

    def _runtimes(self, running: Mapping[str, int]) -> Iterable[Metric]:
        jobs = GaugeMetricFamily("compression_operator_runtime_jobs", "Jobs that run, by runtime.", labels=("runtime",))
        resources = GaugeMetricFamily(
            "compression_operator_runtime_resources",
            "Resources of the pods of running jobs, by runtime: cores, bytes or devices.",
            labels=("runtime", "resource"),
        )
        unknown = 0
        for name, count in running.items():
            runtime = self._cache.runtime(name)
            if runtime is None:
                unknown += count
                continue
            jobs.add_metric((name,), count)
            for resource, amount in _amounts(runtime).items():
                resources.add_metric((name, resource), amount * count)
        if unknown:
            jobs.add_metric((UNKNOWN,), unknown)
        return [jobs, resources]

    def _slots(self) -> Metric:
        family = GaugeMetricFamily(
            "compression_operator_measuring_slot_waiting_jobs",
            "Jobs that wait for a measuring slot, by the runtime that measures them.",
            labels=("runtime",),
        )
        exclusive = (item.name for item in self._cache.runtimes if item.measuring.isolation != SHARED)
        waiting = Counter(dict.fromkeys(exclusive, 0))
        for name, count in self._cache.slots.waiting().items():
            waiting[UNKNOWN if self._cache.runtime(name) is None else name] += count
        for name, count in waiting.items():
            family.add_metric((name,), count)
        return family

    def _progress_times(self) -> Metric:
        family = job_gauge("last_progress_timestamp_seconds", "Unix time at which a running job's pod last advanced.")
        for uid, moment in islice(self._last_progress().items(), self._limit):
            job = self._cache.job(uid)
            if job is not None:
                family.add_metric((job.namespace, job.name), moment)
        return family


def _amounts(record: RuntimeRecord) -> dict[str, float]:
    """Return the amount of each resource of one pod: its request, else its limit."""
    if record.runtime is None:
        return {}
    resources = record.runtime.spec.resources
    return {name: parse_quantity(text) for name, text in (resources.limits | resources.requests).items()}
