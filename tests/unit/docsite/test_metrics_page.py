"""The page of metrics lists what the operator and the runner expose."""

import re

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from compression_operator.telemetry.metrics import Metrics
from compression_runner.telemetry.metrics import RunMetrics
from docsite import metrics


def test_the_page_lists_every_metric_of_the_operator() -> None:
    listed = {entry.name: entry for entry in metrics.entries(*metrics.OPERATOR)}
    collected = list(Metrics().registry.collect())
    assert len(collected) > 15
    for family in collected:
        entry = listed[f"{family.name}{'_total' if family.type == 'counter' else ''}"]
        assert (entry.kind, entry.meaning) == (family.type, family.documentation)
        for sample in family.samples:
            assert set(entry.labels) == sample.labels.keys() - {"le"}
    assert listed["compression_operator_jobs"].labels == ("phase", "reason")


def test_the_page_lists_every_metric_of_a_run() -> None:
    listed = {entry.name: entry for entry in metrics.entries(*metrics.RUNNER)}
    run = RunMetrics()
    run.size("source", 1)
    run.latencies("baseline", np.array([0.1]))
    run.peak_memory("baseline", 1)
    exposed = list(text_string_to_metric_families(run.expose().decode()))
    assert {family.name for family in exposed} <= listed.keys() | {"compression_runner_latency_seconds_created"}
    for family in exposed:
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert family.name.endswith("_created") or not labels or labels == set(listed[family.name].labels)


def test_the_page_lists_every_metric_that_a_page_a_dashboard_or_an_alert_uses() -> None:
    listed = {entry.name for entry in (*metrics.entries(*metrics.OPERATOR, *metrics.RUNNER), *metrics.job_entries())}
    used = set()
    for file in (*(metrics.ROOT / "docs").rglob("*.md"), *(metrics.ROOT / "dashboards").glob("*.*")):
        used |= set(re.findall(r"compression_(?:operator|runner)_[a-z0-9_]*[a-z](?![\w:.])", file.read_text()))
    histograms = {f"{name}_{part}" for name in listed for part in ("bucket", "sum", "count")}
    assert len(used) > 30
    assert used - listed - histograms == set()


def test_the_gauges_of_a_job_have_its_name_as_labels() -> None:
    assert all(entry.labels[:2] == metrics.JOB_LABELS for entry in metrics.job_entries())
    assert metrics.PAGE.read_text() == metrics.files()[metrics.PAGE], "run: make generate"
