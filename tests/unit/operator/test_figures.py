"""What statuses tell the metrics."""

from typing import Any

from compression_operator.figures import Figures
from compression_operator.metrics import JobSeries, Metrics
from tests.unit.operator.builders import job

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


def test_beyond_the_limit_a_job_is_not_shown() -> None:
    assert tell({"phase": "Running", "progress": 42}, limit=0)[0] == {}
