"""Every query of the dashboards and the rules is valid PromQL and uses existing metrics and labels."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from prometheus_client import CollectorRegistry

from compression_operator.cache.cache import Cache
from compression_operator.cluster.resources import COMPRESSION_JOBS, RUNTIMES
from compression_operator.telemetry.fleet import FleetSeries
from compression_operator.telemetry.metrics import JOB_GAUGES, JobSeries, JobTally, Metrics, PendingNotifications
from compression_runner.telemetry.metrics import RunMetrics
from compression_runner.telemetry.phase import Phase
from compressionjob.report import Progress
from dashboards.rules import alerts
from localcluster import debian
from localcluster.command import run
from tests.support.board import BOARDS, panels, queries, resolved
from tests.support.board import metrics as metrics_in
from tests.support.operator.builders import UID
from tests.support.operator.raw import raw_runtime, versioned_job

TARGET_LABELS = {"instance", "namespace", "service", "job", "le"}
"""Labels that a scrape or a histogram adds."""
EXPRESSIONS = {query.id: resolved(query.expression) for query in queries()} | {a.name: a.expression for a in alerts()}


@pytest.fixture(scope="module")
def promtool() -> str:
    debian.ensure(debian.PROMETHEUS)
    return shutil.which("promtool") or "promtool"


def exported() -> dict[str, set[str]]:
    """Return the labels of every sample that operator and runner export, by name."""
    metrics, series, runner = Metrics(), JobSeries(), RunMetrics()
    metrics.registry.register(JobTally(lambda: Counter({("Failed", "BadRecipe"): 1})))
    metrics.registry.register(series)
    metrics.registry.register(PendingNotifications(lambda: Counter({"ops": 1})))
    metrics.registry.register(FleetSeries(_busy(), lambda: {UID: 0.0}))
    series.show("uid", "team", "minilm", {(name, *labels): 1.0 for name, (_, labels) in JOB_GAUGES.items()})
    metrics.reconcile_seconds.labels("changed").observe(0.1)
    metrics.reconcile_errors.labels("Conflict").inc()
    metrics.api_requests.labels("get", "jobs", "200").inc()
    metrics.progress_polls.labels("answered").inc()
    metrics.events.labels("sent").inc()
    metrics.cost.labels("cpu").inc()
    metrics.notifications.labels("ops", "delivered").inc()
    metrics.watch_events.labels("jobs").inc()
    runner.started(Phase("quantize", "dynamic", 1.0), Progress())
    runner.ended(Phase("quantize", "dynamic", 1.0), 1.0, Progress())
    runner.size("quantize", 1)
    runner.latencies("baseline", np.array([0.01]))
    runner.peak_memory("baseline", 1)
    runner.started(Phase("pack", "zstd", 1.0), Progress())
    return dict(_samples(metrics.registry)) | dict(_samples(runner.registry))


def _busy() -> Cache:
    """Return a cache with a running job on a runtime with measuring slots."""
    cache = Cache(lambda _: None)
    cache.put(RUNTIMES, raw_runtime(resources={"limits": {"cpu": "1"}}, measuring={"isolation": "Node"}))
    cache.put(COMPRESSION_JOBS, versioned_job(1, status={"phase": "Running"}))
    return cache


def _samples(registry: CollectorRegistry) -> Iterator[tuple[str, set[str]]]:
    for family in registry.collect():
        for sample in family.samples:
            yield sample.name, set(sample.labels)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_query_uses_only_metrics_and_labels_that_exist(name: str) -> None:
    known, expression = exported(), EXPRESSIONS[name]
    used = metrics_in(expression)
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
    for board in BOARDS:
        taken: set[tuple[int, int]] = set()
        for panel in panels(board):
            assert panel["description"].endswith(".")
            assert panel["datasource"]["uid"] == "${datasource}"
            place = panel["gridPos"]
            cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
            assert max(x for x, _ in cells) < 24
            assert not cells & taken, panel["title"]
            taken |= cells


def test_the_dashboards_link_to_each_other() -> None:
    boards = [json.loads(file.read_text()) for file in BOARDS]
    assert len({board["uid"] for board in boards}) == len(boards) == 3
    for file, board in zip(BOARDS, boards, strict=True):
        assert board["uid"] == file.stem
        (link,) = board["links"]
        assert link["type"] == "dashboards"
        assert set(link["tags"]) <= set(board["tags"])
        for uid, query in re.findall(r"/d/([\w-]+)\?([^\"]*)", file.read_text()):
            (target,) = [other for other in boards if other["uid"] == uid]
            chosen = {variable["name"] for variable in target["templating"]["list"]}
            assert set(re.findall(r"var-(\w+)=", query)) <= chosen
