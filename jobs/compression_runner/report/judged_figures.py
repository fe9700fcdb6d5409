"""Figures that the report shows in several places: judged figures have their judged value and interval everywhere."""

from compression_runner.report.objective_rows import Terms, interval_of
from compressionjob.estimate import Estimate
from compressionjob.report import Report
from compressionjob.sla_objectives import LATENCY, QUALITY_DROP, QUALITY_INCREASE, SPEEDUP


def judged(report: Report, *names: str) -> Estimate | None:
    """Return the estimate of the first of these objectives that was measured."""
    estimates = (interval_of(result) for name in names for result in report.objectives if result.name == name)
    return next((estimate for estimate in estimates if estimate is not None), None)


def speedup_of(report: Report, terms: Terms, percentile: str) -> Estimate | None:
    """Return the speed-up of the compressed model at a percentile."""
    objective = judged(report, SPEEDUP) if percentile == terms.percentile else None
    return objective or report.speedups.get(percentile)


def latency_of(report: Report, terms: Terms, percentile: str) -> Estimate | None:
    """Return the result's latency at a percentile."""
    objective = judged(report, LATENCY) if percentile == terms.percentile else None
    return objective or report.compressed.latency_intervals.get(percentile)


def loss_of(report: Report, terms: Terms, metric: str) -> Estimate | None:
    """Return the loss of the compressed model in a metric."""
    objective = judged(report, QUALITY_DROP, QUALITY_INCREASE) if metric == terms.metric else None
    return objective or report.quality_drops.get(metric)
