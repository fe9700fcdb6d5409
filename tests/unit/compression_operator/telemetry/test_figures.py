"""What statuses tell the metrics."""

from datetime import UTC, datetime
from typing import Any

import pytest

from compression_operator.telemetry.figures import Figures
from compression_operator.telemetry.metrics import JobSeries, Metrics
from compression_operator.telemetry.notes import Note
from tests.support.operator.builders import UID, child, ended_pod, job, observe, runtime, settle, with_raw_status

BOTH = {
    "baseline": {"sizeBytes": 100, "latencySeconds": {"p50": 0.02, "p99": 0.04, "mean": 0.03}},
    "compressed": {"sizeBytes": 25, "latencySeconds": {"p50": 0.01}},
}


INFO = "compression_operator_job_info"


def shown(series: JobSeries) -> dict[tuple[str, ...], float]:
    """Metric and what its labels say, but for the job -> value; without how the job stands."""
    return {
        (family.name.removeprefix("compression_operator_job_"), *list(sample.labels.values())[2:]): sample.value
        for family in series.collect()
        for sample in family.samples
        if family.name != INFO
    }


def standing(series: JobSeries) -> list[dict[str, str]]:
    """What is said of how jobs stand."""
    return [sample.labels for family in series.collect() for sample in family.samples if family.name == INFO]


def ended(phase: str, reason: str, **fields: Any) -> dict[str, Any]:
    """The status of a job that has ended."""
    condition = {"type": "Complete" if phase == "Succeeded" else "Failed", "status": "True", "reason": reason}
    return {"phase": phase, "conditions": [condition], **fields}


def tell(*statuses: dict[str, Any], limit: int = 10) -> tuple[dict[tuple[str, ...], float], Metrics]:
    metrics, series = Metrics(), JobSeries(limit)
    figures = Figures(metrics, series)
    for status in statuses:
        figures.tell(job(), status)
    return shown(series), metrics


def test_a_running_job_shows_its_progress() -> None:
    assert tell({"phase": "Running", "progress": 42})[0] == {("progress_ratio",): 0.42}


def test_a_job_that_failed_or_waits_shows_no_progress() -> None:
    running = {"phase": "Running", "progress": 42}
    for phase in ("Failed", "Pending", "Suspended"):
        assert tell(running, {"phase": phase, "progress": 42})[0] == {}


def test_a_job_with_a_verdict_shows_its_figures() -> None:
    done = {"phase": "Succeeded", "progress": 100, "verdict": "Pass", "sizeRatio": "0.25", **BOTH}
    series, metrics = tell({"phase": "Running", "progress": 99}, done)
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
    series, metrics = tell(refused)
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
    figures = Figures(metrics, series)
    figures.tell(job(spec__budget="2.5"), status)
    noon = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
    assert shown(series) == {
        ("deadline_seconds",): noon + 3600,
        ("forecast_finish_seconds",): noon + 1800,
        ("cost",): 0.1,
        ("budget",): 2.5,
    }
    figures.tell(job(), {"phase": "Suspended", "cost": "0.1000"})
    assert shown(series) == {("cost",): 0.1}


def test_cost_by_runtime_counts_what_came_to_it() -> None:
    metrics = Metrics()
    figures = Figures(metrics, JobSeries())
    figures.tell(job(), {"phase": "Running", "usage": PRICED})
    assert cost_of(metrics, "gpu") == pytest.approx(0.1)
    later = {"phase": "Running", "usage": {"pods": [PRICED["pods"][0] | {"seconds": 250}]}}
    figures.tell(job(status={"phase": "Running", "usage": PRICED}), later)
    assert cost_of(metrics, "gpu") == pytest.approx(0.25)


def test_a_name_that_a_job_gives_its_runtime_is_no_label_until_there_is_one() -> None:
    metrics = Metrics()
    figures = Figures(metrics, JobSeries())
    record = job(spec__runtime="whatever-i-like")
    figures.remind(record)
    figures.tell(record, {"phase": "Pending", "message": "there is no such runtime"})
    assert runtimes_of(metrics) == set()
    figures.expect_cost(runtime("cpu"))
    assert runtimes_of(metrics) == {"cpu"}
    assert cost_of(metrics, "cpu") == 0


def runtimes_of(metrics: Metrics) -> set[str]:
    """The runtimes whose cost is told."""
    return {sample.labels["runtime"] for family in metrics.cost.collect() for sample in family.samples}


def test_a_restarted_operator_counts_no_cost_twice() -> None:
    metrics = Metrics()
    figures = Figures(metrics, JobSeries())
    before = job(status={"phase": "Running", "usage": PRICED})
    figures.expect_cost(runtime(before.runtime))
    figures.remind(before)
    figures.tell(before, {"phase": "Running", "usage": PRICED})
    assert cost_of(metrics, "gpu") == 0
    assert cost_of(metrics, before.runtime) == 0


def test_a_restarted_operator_shows_what_is_known_of_jobs_that_go_on() -> None:
    series = JobSeries()
    figures = Figures(Metrics(), series)
    figures.remind(job(status={"phase": "Running", "progress": 42, "cost": "0.1000"}))
    assert shown(series) == {("progress_ratio",): 0.42, ("cost",): 0.1}
    figures.end(UID)
    figures.remind(job(status={"phase": "Failed", "cost": "0.1000"}))
    assert shown(series) == {("cost",): 0.1}, "what an ended job has cost is still known"


def test_beyond_the_limit_a_job_is_not_shown() -> None:
    assert tell({"phase": "Running", "progress": 42}, limit=0)[0] == {}


def test_how_a_job_stands_is_shown_from_its_first_day_to_its_last() -> None:
    for status, expected in (
        ({"phase": "Pending"}, ("Pending", "", "")),
        (ended("Failed", "SLAViolated", verdict="Fail"), ("Failed", "SLAViolated", "Fail")),
    ):
        series = JobSeries()
        Figures(Metrics(), series).tell(job(), status)
        (labels,) = standing(series)
        assert (labels["phase"], labels["reason"], labels["verdict"]) == expected
        assert (labels["namespace"], labels["job"], labels["runtime"]) == ("default", "minilm-int8", "cpu")


def test_quality_memory_and_throughput_are_shown_by_model() -> None:
    side = {"peakMemoryBytes": 900, "throughputPerSecond": 40.0, "quality": {"accuracy": 0.9, "made-up": 1.0}}
    series, _ = tell({"phase": "Running", "compressed": side})
    assert series == {
        ("peak_memory_bytes", "compressed"): 900,
        ("throughput_per_second", "compressed"): 40.0,
        ("quality", "compressed", "accuracy"): 0.9,
    }


def test_a_margin_is_what_the_intervals_worse_end_leaves_of_the_limit() -> None:
    objectives = [
        {"name": "latency", "limit": 0.02, "measured": 0.010, "low": 0.008, "high": 0.015, "verdict": "Pass"},
        {"name": "latency.speedup", "direction": "at least", "limit": 2.0, "low": 1.5, "verdict": "Fail"},
        {"name": "memory", "limit": 100, "measured": 125, "verdict": "Fail"},
        {"name": "quality.drop", "limit": 0, "measured": 0.1, "verdict": "Fail"},
        {"name": "throughput", "limit": 5, "verdict": "Inconclusive"},
    ]
    series, _ = tell({"phase": "Running", "objectives": objectives})
    assert {key: round(value, 9) for key, value in series.items()} == {
        ("margin_ratio", "latency"): 0.25,
        ("margin_ratio", "latency.speedup"): -0.25,
        ("margin_ratio", "memory"): -0.25,
    }


def test_an_end_is_counted_once_by_phase_and_reason() -> None:
    status = ended("Failed", "StorageUnavailable")
    metrics = Metrics()
    figures = Figures(metrics, JobSeries())
    figures.tell(job(), {"phase": "Running"})
    figures.tell(job(), status)
    figures.tell(with_raw_status(job(), status), {**status, "message": "again"})
    labels = {"phase": "Failed", "reason": "StorageUnavailable"}
    assert metrics.registry.get_sample_value("compression_operator_jobs_ended_total", labels) == 1


def test_a_verdict_that_waits_for_its_review_is_counted_once() -> None:
    waits = {"phase": "AwaitingReview", "verdict": "Inconclusive"}
    metrics = Metrics()
    figures = Figures(metrics, JobSeries())
    figures.tell(job(), waits)
    figures.tell(with_raw_status(job(), waits), ended("Succeeded", "SLAMet", verdict="Inconclusive", **BOTH))
    value = metrics.registry.get_sample_value
    assert value("compression_operator_verdicts_total", {"verdict": "Inconclusive"}) == 1
    assert value("compression_operator_bytes_saved_total") == 75


def test_a_try_that_failed_is_counted_by_its_cause() -> None:
    _, plan = settle(observe(child=child(failed=1, active=1), pods=(ended_pod(code=4),)))
    metrics = Metrics()
    figures = Figures(metrics, JobSeries())
    for note in (*plan.events, Note("Normal", "Running", "the pod runs")):
        figures.note(note)
    values = {
        sample.labels["reason"]: sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "compression_operator_retries_total" and sample.value
    }
    assert values == {"StorageUnavailable": 1}


def test_a_job_that_another_replica_wrote_about_is_shown_but_not_counted() -> None:
    status = ended("Failed", "SLAViolated", verdict="Fail", sizeRatio="0.5")
    metrics, series = Metrics(), JobSeries()
    figures = Figures(metrics, series)
    figures.remind(with_raw_status(job(), status))
    assert shown(series) == {("size_ratio",): 0.5}
    figures.remind(job())
    assert shown(series) == {("size_ratio",): 0.5}
    assert metrics.registry.get_sample_value("compression_operator_verdicts_total", {"verdict": "Fail"}) == 0
