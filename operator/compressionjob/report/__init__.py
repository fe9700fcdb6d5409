"""Documents of a run: the full report, the pod's summary, and its progress."""

from compressionjob.report.artifact import ArtifactReport, FileReport, PackingReport
from compressionjob.report.environment import Environment, GpuNoiseReport, Machine, NoiseReport, PlacementReport
from compressionjob.report.job import JobReference, JobReport
from compressionjob.report.judged import JudgedResult
from compressionjob.report.model_figures import ModelFigures, Percentiles, QualityPart
from compressionjob.report.objective_looks import Look, ObjectiveLooks
from compressionjob.report.progress import Progress, Remaining, RunStep
from compressionjob.report.provenance import DataReference, Provenance, SourceReference
from compressionjob.report.recovery import RecoveryReport, TaskRecovery
from compressionjob.report.report import Report, RunCost
from compressionjob.report.section import ReportSection
from compressionjob.report.serving import (
    ChangedTensor,
    EngineCheck,
    ServedFigure,
    ServedModel,
    ServedRate,
    ServingReport,
)
from compressionjob.report.stages import CandidateReport, FallbackReport, StageReport
from compressionjob.report.summary import MAX_SUMMARY_BYTES, SideSummary, Summary, Violation, parse_summary

__all__ = [
    "MAX_SUMMARY_BYTES",
    "ArtifactReport",
    "CandidateReport",
    "ChangedTensor",
    "DataReference",
    "EngineCheck",
    "Environment",
    "FallbackReport",
    "FileReport",
    "GpuNoiseReport",
    "JobReference",
    "JobReport",
    "JudgedResult",
    "Look",
    "Machine",
    "ModelFigures",
    "NoiseReport",
    "ObjectiveLooks",
    "PackingReport",
    "Percentiles",
    "PlacementReport",
    "Progress",
    "Provenance",
    "QualityPart",
    "RecoveryReport",
    "Remaining",
    "Report",
    "ReportSection",
    "RunCost",
    "RunStep",
    "ServedFigure",
    "ServedModel",
    "ServedRate",
    "ServingReport",
    "SideSummary",
    "SourceReference",
    "StageReport",
    "Summary",
    "TaskRecovery",
    "Violation",
    "parse_summary",
]
