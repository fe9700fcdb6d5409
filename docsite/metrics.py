"""The reference of the Prometheus metrics, read from the source of the operator and the runner."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compression_operator.telemetry.metrics import JOB_GAUGES
from docsite.cells import text_cell

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "docs" / "reference" / "metrics.md"
TELEMETRY: Final = ROOT / "operator" / "compression_operator" / "telemetry"
OPERATOR: Final = (TELEMETRY / "metrics.py", TELEMETRY / "fleet.py")
RUNNER: Final = (ROOT / "jobs" / "compression_runner" / "telemetry" / "metrics.py",)
KINDS: Final = {"Gauge": "gauge", "GaugeMetricFamily": "gauge", "Counter": "counter", "Histogram": "histogram"}
"""Class of prometheus_client -> type."""
JOB_GAUGE: Final = "job_gauge"
"""The operator's function for a gauge of one job, whose name it completes."""
JOB_LABELS: Final = ("namespace", "job")
LABELS: Final = 2
"""Position of the labels among the arguments of a metric."""


@dataclass(frozen=True)
class MetricEntry:
    """One metric of the page."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str

    def row(self) -> str:
        """Return the row of the table."""
        labels = ", ".join(f"`{label}`" for label in self.labels)
        return f"| `{self.name}` | {self.kind} | {labels} | {text_cell(self.meaning)} |"


def files() -> dict[Path, str]:
    """Return the text of the page by its path."""
    return {PAGE: "\n".join(_page()) + "\n"}


def _page() -> Iterator[str]:
    yield from (
        "# Metrics", "",
        "<!-- Generated from the code by `make generate`: docsite/metrics.py. -->", "",
        "Look up each Prometheus metric: its type, its labels and its meaning.",
        "[Monitoring](../monitoring.md) describes the dashboards, the alerts, and who may read the metrics.", "",
        "A histogram has the series `_bucket`, `_sum` and `_count`. The label `model` is `baseline` or `compressed`.",
    )  # fmt: skip
    yield from _table("The operator", "Served by the operator at `/metrics`.", entries(*OPERATOR))
    yield from _table(
        "One job",
        "Served by the operator for the jobs that it shows (at most 500 by default, running ones first).",
        job_entries(),
    )
    yield from _table("The pod of a job", "Served by the pod at `/metrics` while it runs.", entries(*RUNNER))


def _table(title: str, where: str, rows: list[MetricEntry]) -> Iterator[str]:
    yield from ("", f"## {title}", "", where, "", "| metric | type | labels | meaning |", "|---|---|---|---|")
    yield from (entry.row() for entry in rows)


def entries(*sources: Path) -> list[MetricEntry]:
    """Return the metrics that files create with a literal name, sorted by name; without those of single jobs."""
    return sorted(filter(None, map(_entry, _calls(*sources))), key=lambda entry: entry.name)


def job_entries() -> list[MetricEntry]:
    """Return the gauges of single jobs, sorted by name."""
    gauges = {name: (text, more) for name, (text, more) in JOB_GAUGES.items()}
    for call in _calls(*OPERATOR):
        if _function(call) == JOB_GAUGE and isinstance(call.args[0], ast.Constant):
            name, text, *more = (str(ast.literal_eval(part)) for part in call.args)
            gauges[name] = (text, tuple(more))
    return [
        MetricEntry(f"compression_operator_job_{name}", "gauge", (*JOB_LABELS, *more), text)
        for name, (text, more) in sorted(gauges.items())
    ]


def _calls(*sources: Path) -> Iterator[ast.Call]:
    for source in sources:
        yield from (node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Call))


def _function(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _entry(call: ast.Call) -> MetricEntry | None:
    kind = KINDS.get(_function(call))
    if kind is None or not call.args or not isinstance(call.args[0], ast.Constant):
        return None
    name, meaning = (str(ast.literal_eval(part)) for part in call.args[:LABELS])
    named = [keyword.value for keyword in call.keywords if keyword.arg in ("labels", "labelnames")]
    labels = [ast.literal_eval(part) for part in (*call.args[LABELS:], *named)]
    total = "_total" if kind == "counter" else ""
    return MetricEntry(f"{name}{total}", kind, tuple(labels[0]) if labels else (), meaning)
