"""Metrics have bounded labels, and a job's series end with the job."""

from compression_operator.telemetry import event_reasons
from compression_operator.telemetry.job_metrics import JobMetrics
from compression_operator.telemetry.metrics import JobSeries, Metrics
from compressionjob.conditions import FAILURE_REASONS
from tests.support.operator.builders import complete, ended_pod, job, observe, settle, summary


def test_a_jobs_series_end_with_the_job_and_are_bounded() -> None:
    metrics, series = Metrics(), JobSeries(limit=1)
    metrics.registry.register(series)
    labels = {"namespace": "default", "job": "a"}
    series.show("1", "default", "a", {("progress_ratio",): 0.5})
    series.show("2", "default", "b", {("progress_ratio",): 0.5})
    assert metrics.registry.get_sample_value("compression_operator_job_progress_ratio", labels) == 0.5
    assert metrics.registry.get_sample_value("compression_operator_job_progress_ratio", labels | {"job": "b"}) is None
    series.end("1")
    assert metrics.registry.get_sample_value("compression_operator_job_progress_ratio", labels) is None


def test_a_job_that_runs_takes_the_place_of_the_one_that_has_been_idle_longest() -> None:
    series = JobSeries(limit=2)
    for uid in ("ended", "waits", "waits-too"):
        series.show(uid, "default", uid, {("progress_ratio",): 0}, running=False)
    series.show("runs", "default", "runs", {("progress_ratio",): 0})
    assert [uid for uid in ("ended", "waits", "waits-too", "runs") if uid in series] == ["waits", "runs"]
    series.show("waits", "default", "waits", {("progress_ratio",): 0})
    series.show("runs-too", "default", "runs-too", {("progress_ratio",): 0})
    assert "runs-too" not in series


def test_a_replica_that_leads_no_more_shows_no_jobs() -> None:
    series = JobSeries(limit=1)
    series.show("1", "default", "a", {("progress_ratio",): 0.5}, running=False)
    series.clear()
    assert [sample for family in series.collect() for sample in family.samples] == []
    series.show("2", "default", "b", {("progress_ratio",): 0.5})
    series.show("3", "default", "c", {("progress_ratio",): 0.5})
    assert ("2" in series, "3" in series) == (True, False)


def test_counters_of_failures_begin_at_zero() -> None:
    value = Metrics().registry.get_sample_value
    for reason in FAILURE_REASONS:
        assert value("compression_operator_jobs_ended_total", {"phase": "Failed", "reason": reason}) == 0
        assert value("compression_operator_retries_total", {"reason": reason}) == 0


def test_a_verdict_and_its_saved_bytes_are_counted_once() -> None:
    metrics, series = Metrics(), JobSeries()
    metrics.registry.register(series)
    record, plan = settle(observe(child=complete(), pods=(ended_pod(message=summary("Pass")),)))
    assert plan.status is not None
    figures = JobMetrics(metrics, series)
    figures.record_status(job(), plan.status)
    figures.record_status(record, plan.status)
    value = metrics.registry.get_sample_value
    assert value("compression_operator_verdicts_total", {"verdict": "Pass"}) == 1
    assert value("compression_operator_bytes_saved_total") == 91_000_000 - 22_750_000
    p99 = {"namespace": "default", "job": "minilm-int8", "model": "compressed", "percentile": "p99"}
    assert value("compression_operator_job_latency_seconds", p99) == 0.0073


def test_event_reasons_are_few_and_in_camel_case() -> None:
    names = {name: value for name, value in vars(event_reasons).items() if name.isupper() and isinstance(value, str)}
    assert set(names.values()) == event_reasons.ALL
    assert all(value.isalpha() and value[0].isupper() for value in names.values())
