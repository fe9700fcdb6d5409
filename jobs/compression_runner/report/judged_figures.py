"""Figures that the report shows in several places: what was judged has its judged value and interval in all of them."""

from compression_runner.report.objective_rows import Terms, interval_of
from compressionjob.estimate import Estimate
from compressionjob.report import Report
from compressionjob.sla import LATENCY, QUALITY_DROP, QUALITY_INCREASE, SPEEDUP


def judged(report: Report, *names: str) -> Estimate | None:
    """Return the estimate of the first of these objectives that was measured."""
    found = (interval_of(result) for name in names for result in report.objectives if result.name == name)
    return next((estimate for estimate in found if estimate is not None), None)


def speedup_of(report: Report, terms: Terms, percentile: str) -> Estimate | None:
    """Return how many times the result is as fast at a percentile."""
    found = judged(report, SPEEDUP) if percentile == terms.percentile else None
    return found or report.speedups.get(percentile)


def latency_of(report: Report, terms: Terms, percentile: str) -> Estimate | None:
    """Return the result's latency at a percentile."""
    found = judged(report, LATENCY) if percentile == terms.percentile else None
    return found or report.compressed.latency_intervals.get(percentile)


def loss_of(report: Report, terms: Terms, metric: str) -> Estimate | None:
    """Return how much the result loses by a metric."""
    found = judged(report, QUALITY_DROP, QUALITY_INCREASE) if metric == terms.metric else None
    return found or report.quality_drops.get(metric)
