"""What a run tells: the full report, the pod's summary of it, and progress on the way."""

from compressionjob.report.figures import ModelFigures, Percentiles
from compressionjob.report.progress import Progress, Remaining
from compressionjob.report.report import Report, RunCost
from compressionjob.report.stages import CandidateReport, FallbackReport, StageReport
from compressionjob.report.summary import MAX_SUMMARY_BYTES, SideSummary, Summary, Violation, parse_summary

__all__ = [
    "MAX_SUMMARY_BYTES",
    "CandidateReport",
    "FallbackReport",
    "ModelFigures",
    "Percentiles",
    "Progress",
    "Remaining",
    "Report",
    "RunCost",
    "SideSummary",
    "StageReport",
    "Summary",
    "Violation",
    "parse_summary",
]
