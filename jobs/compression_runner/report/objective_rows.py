"""The objectives of a report as rows: title, limit, figure, interval, and the picture of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from compression_runner.report import wording
from compression_runner.report.charts import Track, track
from compressionjob.estimate import Estimate
from compressionjob.report import Report
from compressionjob.sla import MEMORY, ObjectiveResult, Verdict

SAMPLES: Final = "samples per second"
TOKENS: Final = "tokens per second"


@dataclass(frozen=True)
class Terms:
    """The words of one job's report: its quality metric, the percentile that counts, and the unit of throughput."""

    metric: str
    percentile: str
    rate: str
    memory: str = "bytes"
    """Unit of memory: that in which its limit was written."""


@dataclass(frozen=True)
class ObjectiveRow:
    """One objective as the report shows it."""

    title: str
    result: ObjectiveResult
    limit: str
    measured: str
    span: str
    track: Track


def terms_of(report: Report) -> Terms:
    """Return the words of a report: the SLA's metric and percentile, or the defaults."""
    traits = report.job.traits
    defaults = traits.defaults if traits else ()
    measured = [name for name in (*defaults, "matches") if name in report.quality_drops]
    metric = report.job.quality_metric or next(iter(measured), "quality")
    # A language model is measured by the tokens that it writes.
    rate = TOKENS if traits and traits.running_text else SAMPLES
    limits = [wording.unit_as_written(item.limit, item.unit) for item in report.objectives if item.name == MEMORY]
    return Terms(metric, report.job.latency_percentile or "p99", rate, *limits[:1])


def unit_of(result: ObjectiveResult, terms: Terms) -> str:
    """Return the unit in which an objective's figures are written."""
    return terms.rate if result.unit == SAMPLES else wording.unit_as_written(result.limit, result.unit)


def objective_row(result: ObjectiveResult, terms: Terms) -> ObjectiveRow:
    """Return one objective in the words of its report."""
    unit = unit_of(result, terms)
    return ObjectiveRow(
        title=wording.objective_title(result.name, terms.metric, terms.percentile),
        result=result,
        limit=f"{result.direction} {wording.number(result.limit, unit)}",
        measured="not measured" if result.measured is None else wording.number(result.measured, unit),
        span=wording.span(interval_of(result), unit),
        track=track(result),
    )


def interval_of(result: ObjectiveResult) -> Estimate | None:
    """Return what was measured of an objective with its interval, None where it has none."""
    if result.measured is None or result.low is None or result.high is None:
        return None
    return Estimate(value=result.measured, low=result.low, high=result.high)


def verdict_of(report: Report) -> Verdict:
    """Return the verdict of a report; one of a version before NoLimits calls a job without limits a Pass."""
    return "NoLimits" if report.verdict == "Pass" and not report.objectives else report.verdict


def said_of(report: Report) -> str:
    """Return the verdict in the run's own sentence, nothing where there was nothing to judge."""
    return "" if verdict_of(report) == "NoLimits" else report.sentence


def verdict_sentence(verdict: str, rows: Sequence[ObjectiveRow]) -> str:
    """Return the verdict on some objectives in one plain sentence, nothing where there are none."""
    if not rows:
        return ""
    if verdict == "Pass":
        return f"All {len(rows)} limits are kept." if len(rows) > 1 else "The one limit is kept."
    start = (
        "The limit is broken for" if verdict == "Fail" else "The measurement cannot tell whether the limit holds for"
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
