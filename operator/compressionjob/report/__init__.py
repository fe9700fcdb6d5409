"""What a run tells: the full report, the pod's summary of it, and progress on the way."""

from compressionjob.report.artifact import ArtifactReport, FileReport, PackingReport
from compressionjob.report.environment import Environment, Machine, NoiseReport
from compressionjob.report.figures import ModelFigures, Percentiles, QualityPart
from compressionjob.report.job import JobReference, JobReport
from compressionjob.report.judged import Judged
from compressionjob.report.looks import Look, ObjectiveLooks
from compressionjob.report.progress import Progress, Remaining, RunStep
from compressionjob.report.provenance import DataReference, Provenance, SourceReference
from compressionjob.report.report import Report, RunCost
from compressionjob.report.section import ReportSection
from compressionjob.report.stages import CandidateReport, FallbackReport, StageReport
from compressionjob.report.summary import MAX_SUMMARY_BYTES, SideSummary, Summary, Violation, parse_summary

__all__ = [
    "MAX_SUMMARY_BYTES",
    "ArtifactReport",
    "CandidateReport",
    "DataReference",
    "Environment",
    "FallbackReport",
    "FileReport",
    "JobReference",
    "JobReport",
    "Judged",
    "Look",
    "Machine",
    "ModelFigures",
    "NoiseReport",
    "ObjectiveLooks",
    "PackingReport",
    "Percentiles",
    "Progress",
    "Provenance",
    "QualityPart",
    "Remaining",
    "Report",
    "ReportSection",
    "RunCost",
    "RunStep",
    "SideSummary",
    "SourceReference",
    "StageReport",
    "Summary",
    "Violation",
    "parse_summary",
]
