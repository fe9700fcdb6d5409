"""Every panel of the dashboards has data, and shows it correctly."""

import math
import time
from functools import partial

import pytest

from dashboards.promql import jobs
from tests.integration.observability.conftest import ENDS, MEASURED, PHASES, TEAM, World
from tests.integration.observability.prometheus import Series
from tests.integration.operator.api import wait_equal, wait_for
from tests.support.board import PanelQuery, queries, resolved

QUERIES = list(queries())
WHILE_IT_RUNS = {
    "compression-job: Last progress: ago",
    "compression-job: Deadline: deadline",
    "compression-job: Deadline: expected",
}
"""Metrics that exist only while the pod of a job runs. The others exist as long as the job."""


def answer(world: World, query: PanelQuery, job: str = MEASURED) -> list[Series]:
    """Return the series for Grafana: of an instant, or of the whole time range."""
    shown = f"{math.ceil(time.time() - world.started)}s"
    expression = resolved(query.expression, interval="3m", span=shown, namespace=TEAM, job=job)
    if query.instant and query.id not in WHILE_IT_RUNS:
        return world.prometheus.instant(expression)
    return world.prometheus.range(expression, world.started, time.time())


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.id)
def test_a_panel_shows_data(world: World, query: PanelQuery) -> None:
    data = wait_for("data", lambda: answer(world, query), seconds=20)  # a scrape may come late on a busy machine
    assert any(math.isfinite(value) for series in data for _, value in series.values)


@pytest.mark.parametrize("query", [q for q in QUERIES if "$job" in q.expression], ids=lambda query: query.id)
def test_a_panel_of_one_job_shows_no_other(world: World, query: PanelQuery) -> None:
    for series in answer(world, query):
        chosen = {"namespace": TEAM, "job": MEASURED}
        assert {name: series.labels.get(name, value) for name, value in chosen.items()} == chosen
    assert not answer(world, query, job="another")


def test_jobs_are_counted_by_phase(world: World) -> None:
    verdicts = "sum by (verdict) (compression_operator_verdicts_total)"
    for expression, label, expected in (
        (jobs("phase"), "phase", PHASES),
        (
            jobs("reason", '{phase="Failed"}'),
            "reason",
            {"SLAViolated": 1, "SLAInconclusive": 1, "OutOfMemory": 1, "InvalidInput": 1},
        ),
        (jobs("reason", '{phase="Pending"}'), "reason", {"Unschedulable": 1, "RuntimeNotFound": 1}),
        (verdicts, "verdict", {"Pass": 6, "Fail": 1, "Inconclusive": 1, "NoLimits": 0}),
        (
            "sum by (phase, reason) (compression_operator_jobs_ended_total) > 0",
            "reason",
            {"SLAMet": 5, "SLAViolated": 1, "SLAInconclusive": 1, "OutOfMemory": 1, "InvalidInput": 1},
        ),
        ("sum by (reason) (compression_operator_retries_total) > 0", "reason", {"StorageUnavailable": 1}),
        ("max by (runtime) (compression_operator_runtime_jobs)", "runtime", {"nvidia-gpu": 1}),
    ):
        wait_equal(expression, partial(world.prometheus.by_label, expression, label), expected, seconds=20)


def test_every_active_phase_has_the_age_of_its_oldest_job(world: World) -> None:
    ages = world.prometheus.by_label("max by (phase) (compression_operator_oldest_job_seconds)", "phase")
    assert set(ages) == {"Pending", "Running", "AwaitingReview"}
    assert all(0 <= age <= time.time() - world.started for age in ages.values())


def test_the_figures_of_a_job_are_those_of_its_report(world: World) -> None:
    selected = f'{{namespace="{TEAM}", job="{MEASURED}"}}'
    ratio = world.report.compressed.size_bytes / world.report.baseline.size_bytes
    assert world.prometheus.number(f"compression_operator_job_size_ratio{selected}") == pytest.approx(ratio, abs=1e-4)
    latency = f"compression_operator_job_latency_seconds{selected}"
    shown = {
        (series.labels["model"], series.labels["percentile"]): series.last
        for series in world.prometheus.instant(latency)
    }
    assert shown == {
        (model, percentile): pytest.approx(seconds, rel=1e-4)
        for model, figures in (("baseline", world.report.baseline), ("compressed", world.report.compressed))
        for percentile, seconds in figures.latency_seconds.items()
    }


def test_the_histogram_of_the_pod_agrees_with_the_report(world: World) -> None:
    """They agree up to the width of a bucket, which is a factor of 1.6."""
    selected = f'{{namespace="{TEAM}", job="{MEASURED}", model="baseline"}}'
    buckets = f"sum by (le) (compression_runner_latency_seconds_bucket{selected})"
    median = world.prometheus.number(f"histogram_quantile(0.5, {buckets})")
    assert median is not None
    assert 1 / 1.7 < median / world.report.baseline.latency_seconds["p50"] < 1.7


def test_exactly_one_replica_leads_and_the_fleet_is_counted_once(world: World) -> None:
    assert world.prometheus.number("count(compression_operator_leader)") == 2
    assert world.prometheus.number("sum(compression_operator_leader)") == 1
    assert world.prometheus.number("count(count by (instance) (compression_operator_jobs))") == 2


def test_the_variables_offer_namespaces_and_all_jobs(world: World) -> None:
    expected = {MEASURED, *ENDS, "is-reviewed", "finds-no-runtime", "has-a-gpu"}

    def shown(label: str) -> set[str]:
        history = world.prometheus.range("compression_operator_job_info", world.started, time.time())
        return {series.labels[label] for series in history}

    wait_for(
        "all are scraped", lambda: shown("job") >= expected, seconds=20
    )  # a scrape may come late on a busy machine
    assert shown("namespace") == {TEAM}


def test_the_margins_of_a_job_follow_its_objectives(world: World) -> None:
    margins = world.prometheus.by_label(f'compression_operator_job_margin_ratio{{job="{MEASURED}"}}', "objective")
    objectives = {item.name: item for item in world.report.objectives}
    assert set(margins) == set(objectives) == {"size.ratio", "latency", "memory"}
    for name, item in objectives.items():
        worst = item.measured if item.high is None else item.high
        assert worst is not None
        assert margins[name] == pytest.approx(1 - worst / item.limit, abs=1e-3)


def test_the_operator_had_all_permissions_it_needed(world: World) -> None:
    """The operators ran with the chart's service account. A later 403 may also come from a starting API server."""
    requests = world.prometheus.instant("compression_operator_api_requests_total", at=world.calm)
    done = {(series.labels["verb"], series.labels["resource"]) for series in requests if series.labels["code"] < "300"}
    assert done >= {
        ("patch", "compressionjobs"),
        ("delete", "compressionjobs"),
        ("create", "jobs"),
        ("patch", "jobs"),
        ("create", "events"),
        ("create", "leases"),
        ("update", "leases"),
        *(("watch", kind) for kind in ("compressionjobs", "compressionruntimes", "jobs", "pods")),
    }
    assert not [series.labels for series in requests if series.labels["code"] in ("401", "403")]
    events = world.prometheus.instant('compression_operator_events_total{outcome=~"failed|dropped"}', at=world.calm)
    assert not events
