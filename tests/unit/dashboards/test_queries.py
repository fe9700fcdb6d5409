"""Every query of the dashboard and the rules is PromQL, and speaks of metrics and labels that exist."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from prometheus_client import CollectorRegistry

from compression_operator.metrics import JobSeries, JobTally, Metrics
from compression_runner.telemetry.metrics import RunMetrics
from compression_runner.telemetry.phase import Phase
from compressionjob import conditions
from compressionjob.report import Progress
from dashboards.generated import ROOT
from dashboards.rules import RUNBOOKS, STUCK_WAITING, VERDICT_REASONS, Alert, alerts
from localcluster import debian
from localcluster.command import run
from tests.board import panels, queries, resolved

TARGET_LABELS = {"instance", "namespace", "service", "job", "le"}
"""Labels that a scrape, honour of the exporter's own, or a histogram adds."""
EXPRESSIONS = {query.id: resolved(query.expression) for query in queries()} | {a.name: a.expression for a in alerts()}


@pytest.fixture(scope="module")
def promtool() -> str:
    debian.ensure(debian.PROMETHEUS)
    return shutil.which("promtool") or "promtool"


def exported() -> dict[str, set[str]]:
    """Name of every sample that operator and runner export -> its labels, each exporter having seen everything once."""
    metrics, series, runner = Metrics(), JobSeries(), RunMetrics()
    metrics.registry.register(JobTally(lambda: Counter({("Failed", "BadRecipe"): 1})))
    metrics.registry.register(series)
    series.show("uid", "team", "minilm", progress=0.5, size_ratio=0.25, latency={("baseline", "p99"): 0.01})
    metrics.reconcile_seconds.labels("changed").observe(0.1)
    metrics.reconcile_errors.labels("Conflict").inc()
    metrics.api_requests.labels("get", "jobs", "200").inc()
    metrics.progress_polls.labels("answered").inc()
    runner.started(Phase("quantize", "dynamic", 1.0), Progress())
    runner.ended(Phase("quantize", "dynamic", 1.0), 1.0, Progress())
    runner.size("quantize", 1)
    runner.latencies("baseline", np.array([0.01]))
    runner.peak_memory("baseline", 1)
    runner.started(Phase("pack", "zstd", 1.0), Progress())
    return dict(_samples(metrics.registry)) | dict(_samples(runner.registry))


def _samples(registry: CollectorRegistry) -> Iterator[tuple[str, set[str]]]:
    for family in registry.collect():
        for sample in family.samples:
            yield sample.name, set(sample.labels)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_query_uses_only_metrics_and_labels_that_exist(name: str) -> None:
    known, expression = exported(), EXPRESSIONS[name]
    used = set(re.findall(r"\bcompression_(?:operator|runner)_\w+", expression))
    assert used <= known.keys()
    assert used or "up{" in expression
    labels = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
    assert labels <= TARGET_LABELS.union(*(known[metric] for metric in used))


def test_every_query_is_promql(promtool: str, tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": text} for number, text in enumerate(EXPRESSIONS.values())]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    assert f"{len(rules)} rules found" in run([promtool, "check", "rules", file])


def test_legends_use_only_labels_that_their_query_keeps() -> None:
    for query in queries():
        kept = re.match(r"^(?:sum|max|histogram_quantile\([\d.]+, sum) by \(([^)]*)\)", query.expression)
        labels = {label.strip() for label in kept[1].split(",")} if kept else set()
        assert set(re.findall(r"\{\{(\w+)\}\}", query.legend)) <= labels, query.id


def test_the_panels_do_not_overlap_and_say_what_they_show() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        assert panel["description"].endswith(".")
        assert panel["datasource"]["uid"] == "${datasource}"
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_promtool_tests_of_the_rules_pass(promtool: str) -> None:
    output = run([promtool, "test", "rules", *sorted((ROOT / "dashboards" / "tests").glob("*.yaml"))])
    assert output.count("SUCCESS") == 2


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.name)
def test_an_alert_is_tested_both_ways_and_has_a_runbook(alert: Alert) -> None:
    cases = [
        check
        for file in (ROOT / "dashboards" / "tests").glob("*.yaml")
        for test in yaml.safe_load(file.read_text())["tests"]
        for check in test["alert_rule_test"]
        if check["alertname"] == alert.name
    ]
    assert any(case["exp_alerts"] for case in cases), "no test where it fires"
    assert any(not case["exp_alerts"] for case in cases), "no test where it does not"
    page = (ROOT / RUNBOOKS / f"{alert.name}.md").read_text()
    assert page.startswith(f"# {alert.name}\n")
    for heading in ("## What it means", "## What to look at", "## What to do"):
        assert heading in page


def test_every_runbook_belongs_to_an_alert() -> None:
    assert {path.stem for path in (ROOT / RUNBOOKS).glob("*.md")} == {alert.name for alert in alerts()}


def test_the_rules_know_reasons_of_the_contract() -> None:
    reasons = {value for name, value in vars(conditions).items() if name.isupper() and isinstance(value, str)}
    assert {*STUCK_WAITING, *VERDICT_REASONS} <= reasons
