"""Provenance: enough to reproduce a model. It is in report.json and in artifact.json."""

from typing import Any

from pydantic import Field

from compressionjob.report.job import JobReference
from compressionjob.report.section import ReportSection
from compressionjob.report.stages import StageReport
from compressionjob.review import ReviewOutcome
from compressionjob.verdict import Verdict


class SourceReference(ReportSection):
    """The model that the pipeline started from."""

    uri: str = Field(default="", description="Location.")
    format: str = Field(default="", description="Format.")
    architecture: str = Field(default="", description="Architecture, as named in the model's configuration.")
    parameters: int | None = Field(default=None, description="Number of parameters.")
    identity: str = Field(default="", description="Hash of paths, sizes and the store's ETags, as in fingerprints.")
    checksums_verified: bool | None = Field(
        default=None, description="Whether the model has checksums and matches them."
    )
    digest: str = Field(default="", description="Digest of the content.")
    size_bytes: int = Field(default=0, description="Size of the weight files.")


class DataReference(ReportSection):
    """The evaluation data."""

    uri: str = Field(default="", description="Location.")
    digest: str = Field(default="", description="Digest of the content.")


class Provenance(ReportSection):
    """Provenance of a compressed model."""

    fingerprint: str = Field(default="", description="Fingerprint of the step that made the model.")
    plan: str = Field(default="", description="Fingerprint of the whole pipeline; it differs after a fallback.")
    job: JobReference = Field(default=JobReference(), description="Job that made the model.")
    source: SourceReference = Field(default=SourceReference(), description="Source model.")
    evaluation: DataReference = Field(default=DataReference(), description="Evaluation data.")
    # This is JSON for the same reason as the spec of JobReport.
    pipeline: list[dict[str, Any]] = Field(default=[], description="Pipeline of the job.")
    stages: list[StageReport] = Field(default=[], description="Stages that were applied.")
    verdict: Verdict | None = Field(default=None, description="Verdict on the model.")
    given_up: list[str] = Field(default=[], description="Stages that a fallback dropped.")
    versions: dict[str, str] = Field(default={}, description="Versions by library, including python.")
    created: str = Field(default="", description="Time of the verdict.")
    review: ReviewOutcome | None = Field(default=None, description="Review that approved the publication.")
