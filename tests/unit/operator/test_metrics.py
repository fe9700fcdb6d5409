"""Metrics have bounded labels, and a job's series end with the job."""

from compression_operator import event_reasons
from compression_operator.figures import Figures
from compression_operator.metrics import JobSeries, Metrics
from tests.unit.operator.builders import complete, ended_pod, job, observe, settle, summary


def test_a_jobs_series_end_with_the_job_and_are_bounded() -> None:
    metrics, series = Metrics(), JobSeries(limit=1)
    metrics.registry.register(series)
    labels = {"namespace": "default", "job": "a"}
    series.show("1", "default", "a", progress=0.5)
    series.show("2", "default", "b", progress=0.5)
    assert metrics.registry.get_sample_value("compression_operator_job_progress_ratio", labels) == 0.5
    assert metrics.registry.get_sample_value("compression_operator_job_progress_ratio", labels | {"job": "b"}) is None
    series.end("1")
    assert metrics.registry.get_sample_value("compression_operator_job_progress_ratio", labels) is None


def test_a_verdict_and_its_saved_bytes_are_counted_once() -> None:
    metrics, series = Metrics(), JobSeries()
    metrics.registry.register(series)
    record, plan = settle(observe(child=complete(), pods=(ended_pod(message=summary("Pass")),)))
    assert plan.status is not None
    figures = Figures(metrics, series)
    figures.tell(job(), plan.status)
    figures.tell(record, plan.status)
    value = metrics.registry.get_sample_value
    assert value("compression_operator_verdicts_total", {"verdict": "Pass"}) == 1
    assert value("compression_operator_bytes_saved_total") == 91_000_000 - 22_750_000
    p99 = {"namespace": "default", "job": "minilm-int8", "model": "compressed", "percentile": "p99"}
    assert value("compression_operator_job_latency_seconds", p99) == 0.0073


def test_event_reasons_are_few_and_in_camel_case() -> None:
    names = {name: value for name, value in vars(event_reasons).items() if name.isupper() and isinstance(value, str)}
    assert set(names.values()) == event_reasons.ALL
    assert all(value.isalpha() and value[0].isupper() for value in names.values())
