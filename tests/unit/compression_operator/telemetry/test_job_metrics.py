"""Metrics from the statuses of jobs."""

from datetime import UTC, datetime
from typing import Any

import pytest

from compression_operator.telemetry.job_metrics import JobMetrics
from compression_operator.telemetry.metrics import JobSeries, Metrics
from compression_operator.telemetry.notes import Note
from tests.support.operator.builders import UID, child, ended_pod, job, observe, runtime, settle, with_raw_status

BOTH = {
    "baseline": {"sizeBytes": 100, "latencySeconds": {"p50": 0.02, "p99": 0.04, "mean": 0.03}},
    "compressed": {"sizeBytes": 25, "latencySeconds": {"p50": 0.01}},
}


INFO = "compression_operator_job_info"


def shown(series: JobSeries) -> dict[tuple[str, ...], float]:
    """Return the values by metric and labels, without the job's labels and without the info gauge."""
    return {
        (family.name.removeprefix("compression_operator_job_"), *list(sample.labels.values())[2:]): sample.value
        for family in series.collect()
        for sample in family.samples
        if family.name != INFO
    }


def standing(series: JobSeries) -> list[dict[str, str]]:
    """Return the info gauges of jobs."""
    return [sample.labels for family in series.collect() for sample in family.samples if family.name == INFO]


def ended(phase: str, reason: str, **fields: Any) -> dict[str, Any]:
    """The status of a job that has ended."""
    condition = {"type": "Complete" if phase == "Succeeded" else "Failed", "status": "True", "reason": reason}
    return {"phase": phase, "conditions": [condition], **fields}


def series_of(*statuses: dict[str, Any], limit: int = 10) -> tuple[dict[tuple[str, ...], float], Metrics]:
    metrics, series = Metrics(), JobSeries(limit)
    figures = JobMetrics(metrics, series)
    for status in statuses:
        figures.record_status(job(), status)
    return shown(series), metrics


def test_a_running_job_shows_its_progress() -> None:
    assert series_of({"phase": "Running", "progress": 42})[0] == {("progress_ratio",): 0.42}


def test_a_job_that_failed_or_waits_shows_no_progress() -> None:
    running = {"phase": "Running", "progress": 42}
    for phase in ("Failed", "Pending", "Suspended"):
        assert series_of(running, {"phase": phase, "progress": 42})[0] == {}


def test_a_job_with_a_verdict_shows_its_figures() -> None:
    done = {"phase": "Succeeded", "progress": 100, "verdict": "Pass", "sizeRatio": "0.25", **BOTH}
    series, metrics = series_of({"phase": "Running", "progress": 99}, done)
    assert series == {
        ("progress_ratio",): 1.0,
        ("size_ratio",): 0.25,
        ("size_bytes", "baseline"): 100,
        ("size_bytes", "compressed"): 25,
        ("latency_seconds", "baseline", "p50"): 0.02,
        ("latency_seconds", "baseline", "p99"): 0.04,
        ("latency_seconds", "compressed", "p50"): 0.01,
    }
    assert metrics.registry.get_sample_value("compression_operator_verdicts_total", {"verdict": "Pass"}) == 1
    assert metrics.registry.get_sample_value("compression_operator_bytes_saved_total") == 75


def test_a_refused_model_shows_figures_but_saves_nothing() -> None:
    refused = {"phase": "Failed", "progress": 100, "verdict": "Fail", "sizeRatio": "0.25", **BOTH}
    series, metrics = series_of(refused)
    assert ("progress_ratio",) not in series
    assert series["size_ratio",] == 0.25
    assert metrics.registry.get_sample_value("compression_operator_bytes_saved_total") == 0


PRICED: dict[str, Any] = {
    "seconds": 100,
    "pods": [
        {"pod": "a", "uid": "a", "runtime": "gpu", "pricePerHour": "3.6", "started": "2026-11-24T12:00:00Z",
         "seconds": 100}
    ],
}  # fmt: skip


def cost_of(metrics: Metrics, runtime: str) -> float | None:
    return metrics.registry.get_sample_value("compression_operator_cost_total", {"runtime": runtime})


def test_times_cost_and_budget_of_a_job_are_shown() -> None:
    metrics, series = Metrics(), JobSeries()
    status = {
        "phase": "Running",
        "deadlineTime": "2026-11-24T13:00:00Z",
        "expectedCompletionTime": "2026-11-24T12:30:00Z",
        "cost": "0.1000",
        "usage": PRICED,
    }
    figures = JobMetrics(metrics, series)
    figures.record_status(job(spec__budget="2.5"), status)
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
    assert shown(series) == {
        ("deadline_seconds",): noon + 3600,
        ("forecast_finish_seconds",): noon + 1800,
        ("cost",): 0.1,
        ("budget",): 2.5,
    }
    figures.record_status(job(), {"phase": "Suspended", "cost": "0.1000"})
    assert shown(series) == {("cost",): 0.1}


def test_cost_by_runtime_counts_increments() -> None:
    metrics = Metrics()
    figures = JobMetrics(metrics, JobSeries())
    figures.record_status(job(), {"phase": "Running", "usage": PRICED})
    assert cost_of(metrics, "gpu") == pytest.approx(0.1)
    later = {"phase": "Running", "usage": {"pods": [PRICED["pods"][0] | {"seconds": 250}]}}
    figures.record_status(job(status={"phase": "Running", "usage": PRICED}), later)
    assert cost_of(metrics, "gpu") == pytest.approx(0.25)


def test_missing_runtime_is_not_a_label() -> None:
    metrics = Metrics()
    figures = JobMetrics(metrics, JobSeries())
    record = job(spec__runtime="whatever-i-like")
    figures.restore(record)
    figures.record_status(record, {"phase": "Pending", "message": "there is no such runtime"})
    assert runtimes_of(metrics) == set()
    figures.expect_cost(runtime("cpu"))
    assert runtimes_of(metrics) == {"cpu"}
    assert cost_of(metrics, "cpu") == 0


def runtimes_of(metrics: Metrics) -> set[str]:
    """Return the runtimes with a cost series."""
    return {sample.labels["runtime"] for family in metrics.cost.collect() for sample in family.samples}


def test_a_restarted_operator_counts_no_cost_twice() -> None:
    metrics = Metrics()
    figures = JobMetrics(metrics, JobSeries())
    before = job(status={"phase": "Running", "usage": PRICED})
    figures.expect_cost(runtime(before.runtime))
    figures.restore(before)
    figures.record_status(before, {"phase": "Running", "usage": PRICED})
    assert cost_of(metrics, "gpu") == 0
    assert cost_of(metrics, before.runtime) == 0


def test_a_restarted_operator_shows_what_is_known_of_jobs_that_go_on() -> None:
    series = JobSeries()
    figures = JobMetrics(Metrics(), series)
    figures.restore(job(status={"phase": "Running", "progress": 42, "cost": "0.1000"}))
    assert shown(series) == {("progress_ratio",): 0.42, ("cost",): 0.1}
    figures.remove(UID)
    figures.restore(job(status={"phase": "Failed", "cost": "0.1000"}))
    assert shown(series) == {("cost",): 0.1}, "what an ended job has cost is still known"


def test_beyond_the_limit_a_job_is_not_shown() -> None:
    assert series_of({"phase": "Running", "progress": 42}, limit=0)[0] == {}


def test_info_gauge_exists_for_the_life_of_a_job() -> None:
    for status, expected in (
        ({"phase": "Pending"}, ("Pending", "", "")),
        (ended("Failed", "SLAViolated", verdict="Fail"), ("Failed", "SLAViolated", "Fail")),
    ):
        series = JobSeries()
        JobMetrics(Metrics(), series).record_status(job(), status)
        (labels,) = standing(series)
        assert (labels["phase"], labels["reason"], labels["verdict"]) == expected
        assert (labels["namespace"], labels["job"], labels["runtime"]) == ("default", "minilm-int8", "cpu")


def test_quality_memory_and_throughput_are_shown_by_model() -> None:
    side = {"peakMemoryBytes": 900, "throughputPerSecond": 40.0, "quality": {"accuracy": 0.9, "made-up": 1.0}}
    series, _ = series_of({"phase": "Running", "compressed": side})
    assert series == {
        ("peak_memory_bytes", "compressed"): 900,
        ("throughput_per_second", "compressed"): 40.0,
        ("quality", "compressed", "accuracy"): 0.9,
    }


def test_margin_uses_the_worse_end_of_the_interval() -> None:
    objectives = [
        {"name": "latency", "limit": 0.02, "measured": 0.010, "low": 0.008, "high": 0.015, "verdict": "Pass"},
        {"name": "latency.speedup", "direction": "at least", "limit": 2.0, "low": 1.5, "verdict": "Fail"},
        {"name": "memory", "limit": 100, "measured": 125, "verdict": "Fail"},
        {"name": "quality.drop", "limit": 0, "measured": 0.1, "verdict": "Fail"},
        {"name": "throughput", "limit": 5, "verdict": "Inconclusive"},
    ]
    series, _ = series_of({"phase": "Running", "objectives": objectives})
    assert {key: round(value, 9) for key, value in series.items()} == {
        ("margin_ratio", "latency"): 0.25,
        ("margin_ratio", "latency.speedup"): -0.25,
        ("margin_ratio", "memory"): -0.25,
    }


def test_an_end_is_counted_once_by_phase_and_reason() -> None:
    status = ended("Failed", "StorageUnavailable")
    metrics = Metrics()
    figures = JobMetrics(metrics, JobSeries())
    figures.record_status(job(), {"phase": "Running"})
    figures.record_status(job(), status)
    figures.record_status(with_raw_status(job(), status), {**status, "message": "again"})
    labels = {"phase": "Failed", "reason": "StorageUnavailable"}
    assert metrics.registry.get_sample_value("compression_operator_jobs_ended_total", labels) == 1


def test_a_verdict_that_waits_for_its_review_is_counted_once() -> None:
    waits = {"phase": "AwaitingReview", "verdict": "Inconclusive"}
    metrics = Metrics()
    figures = JobMetrics(metrics, JobSeries())
    figures.record_status(job(), waits)
    figures.record_status(with_raw_status(job(), waits), ended("Succeeded", "SLAMet", verdict="Inconclusive", **BOTH))
    value = metrics.registry.get_sample_value
    assert value("compression_operator_verdicts_total", {"verdict": "Inconclusive"}) == 1
    assert value("compression_operator_bytes_saved_total") == 75


def test_failed_attempt_is_counted_by_its_cause() -> None:
    _, plan = settle(observe(child=child(failed=1, active=1), pods=(ended_pod(code=4),)))
    metrics = Metrics()
    figures = JobMetrics(metrics, JobSeries())
    for note in (*plan.events, Note("Normal", "Running", "the pod runs")):
        figures.record_event(note)
    values = {
        sample.labels["reason"]: sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "compression_operator_retries_total" and sample.value
    }
    assert values == {"StorageUnavailable": 1}


def test_status_of_another_replica_is_shown_but_not_counted() -> None:
    status = ended("Failed", "SLAViolated", verdict="Fail", sizeRatio="0.5")
    metrics, series = Metrics(), JobSeries()
    figures = JobMetrics(metrics, series)
    figures.restore(with_raw_status(job(), status))
    assert shown(series) == {("size_ratio",): 0.5}
    figures.restore(job())
    assert shown(series) == {("size_ratio",): 0.5}
    assert metrics.registry.get_sample_value("compression_operator_verdicts_total", {"verdict": "Fail"}) == 0
