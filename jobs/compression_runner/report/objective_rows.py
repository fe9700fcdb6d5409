"""The objectives of a report as rows: title, limit, figure, interval, and chart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from compression_runner.report import wording
from compression_runner.report.charts import Track, track
from compressionjob.estimate import Estimate
from compressionjob.report import Report
from compressionjob.sla_objectives import MEMORY
from compressionjob.verdict import ObjectiveResult, Verdict

SAMPLES: Final = "samples per second"
TOKENS: Final = "tokens per second"


@dataclass(frozen=True)
class Terms:
    """The terms of one job's report: its quality metric, the limited percentile, and the unit of throughput."""

    metric: str
    percentile: str
    rate: str
    memory: str = "bytes"
    """Unit of memory, as in its limit."""
    served: Mapping[str, str] = field(default_factory=dict)
    """Percentiles of objectives on served requests."""

    def percentile_of(self, objective: str) -> str:
        """Return the percentile of an objective."""
        return self.served.get(objective) or self.percentile


@dataclass(frozen=True)
class ObjectiveRow:
    """One objective, as shown."""

    title: str
    result: ObjectiveResult
    limit: str
    measured: str
    span: str
    track: Track


def terms_of(report: Report) -> Terms:
    """Return the terms of a report: the SLA's metric and percentile, or the defaults."""
    traits = report.job.traits
    defaults = traits.defaults if traits else ()
    measured = [name for name in (*defaults, "matches") if name in report.quality_drops]
    metric = report.job.quality_metric or next(iter(measured), "quality")
    # A language model is measured by the tokens that it generates.
    rate = TOKENS if traits and traits.running_text else SAMPLES
    limits = [wording.unit_as_written(item.limit, item.unit) for item in report.objectives if item.name == MEMORY]
    served = {item.name: report.job.percentile_of(item.name) for item in report.objectives}
    percentiles = {name: one for name, one in served.items() if one}
    memory = limits[0] if limits else "bytes"
    return Terms(metric, report.job.latency_percentile or "p99", rate, memory, percentiles)


def unit_of(result: ObjectiveResult, terms: Terms) -> str:
    """Return the unit of an objective's figures."""
    return terms.rate if result.unit == SAMPLES else wording.unit_as_written(result.limit, result.unit)


def objective_row(result: ObjectiveResult, terms: Terms) -> ObjectiveRow:
    """Return one objective as a row."""
    unit = unit_of(result, terms)
    return ObjectiveRow(
        title=wording.objective_title(result.name, terms.metric, terms.percentile_of(result.name)),
        result=result,
        limit=f"{result.direction} {wording.number(result.limit, unit)}",
        measured="not measured" if result.measured is None else wording.number(result.measured, unit),
        span=wording.span(interval_of(result), unit),
        track=track(result),
    )


def interval_of(result: ObjectiveResult) -> Estimate | None:
    """Return the measured value of an objective with its interval; None without an interval."""
    if result.measured is None or result.low is None or result.high is None:
        return None
    return Estimate(value=result.measured, low=result.low, high=result.high)


def verdict_of(report: Report) -> Verdict:
    """Return the verdict of a report; an old report without limits says Pass instead of NoLimits."""
    return "NoLimits" if report.verdict == "Pass" and not report.objectives else report.verdict


def said_of(report: Report) -> str:
    """Return the run's own sentence for the verdict; empty without limits."""
    return "" if verdict_of(report) == "NoLimits" else report.sentence


def verdict_sentence(verdict: str, rows: Sequence[ObjectiveRow]) -> str:
    """Return the verdict on some objectives in one sentence; empty without objectives."""
    if not rows:
        return ""
    if verdict == "Pass":
        return f"All {len(rows)} limits hold." if len(rows) > 1 else "The 1 limit holds."
    start = (
        "The limit is broken for" if verdict == "Fail" else "The measurement cannot decide whether the limit holds for"
    )
    parts = [
        f"{row.title[:1].lower()}{row.title[1:]}, which is {row.measured}"
        + (f" ({row.span})" if row.span else "")
        + f" and must be {row.limit}"
        + (f" ({row.result.reason})" if row.result.reason else "")
        for row in rows
        if row.result.verdict == verdict
    ]
    return f"{start} {'; and for '.join(parts)}."
