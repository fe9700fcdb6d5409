"""What statuses tell the metrics."""

from datetime import UTC, datetime
from typing import Any

import pytest

from compression_operator.figures import Figures
from compression_operator.metrics import JobSeries, Metrics
from tests.unit.operator.builders import UID, job

BOTH = {
    "baseline": {"sizeBytes": 100, "latencySeconds": {"p50": 0.02, "p99": 0.04, "mean": 0.03}},
    "compressed": {"sizeBytes": 25, "latencySeconds": {"p50": 0.01}},
}


def shown(series: JobSeries) -> dict[tuple[str, ...], float]:
    """Metric and what its labels say, but for the job -> value."""
    return {
        (family.name.removeprefix("compression_operator_job_"), *list(sample.labels.values())[2:]): sample.value
        for family in series.collect()
        for sample in family.samples
    }


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


def test_a_restarted_operator_counts_no_cost_twice() -> None:
    metrics = Metrics()
    figures = Figures(metrics, JobSeries())
    before = job(status={"phase": "Running", "usage": PRICED})
    figures.recall(before)
    figures.tell(before, {"phase": "Running", "usage": PRICED})
    assert cost_of(metrics, "gpu") == 0
    assert cost_of(metrics, before.runtime) == 0


def test_a_restarted_operator_shows_what_is_known_of_jobs_that_go_on() -> None:
    series = JobSeries()
    figures = Figures(Metrics(), series)
    figures.recall(job(status={"phase": "Running", "progress": 42, "cost": "0.1000"}))
    assert shown(series) == {("progress_ratio",): 0.42, ("cost",): 0.1}
    figures.end(UID)
    figures.recall(job(status={"phase": "Failed", "cost": "0.1000"}))
    assert shown(series) == {}


def test_beyond_the_limit_a_job_is_not_shown() -> None:
    assert tell({"phase": "Running", "progress": 42}, limit=0)[0] == {}
