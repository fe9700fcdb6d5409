"""How a result came to be: enough to make it again. In report.json and in artifact.json."""

from typing import Any

from pydantic import Field

from compressionjob.report.job import JobReference
from compressionjob.report.section import ReportSection
from compressionjob.report.stages import StageReport
from compressionjob.review import ReviewOutcome
from compressionjob.sla import Verdict


class SourceReference(ReportSection):
    """The model that the pipeline started from."""

    uri: str = Field(default="", description="Where it came from.")
    format: str = Field(default="", description="Its format.")
    architecture: str = Field(default="", description="Its architecture, as its own configuration names it.")
    parameters: int | None = Field(default=None, description="How many numbers it has.")
    identity: str = Field(default="", description="Hash of paths, sizes and the store's tags, as in fingerprints.")
    checksums_verified: bool | None = Field(
        default=None, description="Whether it came with checksums, and matches them."
    )
    digest: str = Field(default="", description="Digest of its content.")
    size_bytes: int = Field(default=0, description="Size of its weight files.")


class DataReference(ReportSection):
    """The data that a result was measured with."""

    uri: str = Field(default="", description="Where it came from.")
    digest: str = Field(default="", description="Digest of its content.")


class Provenance(ReportSection):
    """How a result came to be."""

    fingerprint: str = Field(default="", description="Fingerprint of the step that made the result.")
    plan: str = Field(default="", description="Fingerprint of the whole pipeline's result, which may be another.")
    job: JobReference = Field(default=JobReference(), description="The job that made it.")
    source: SourceReference = Field(default=SourceReference(), description="The model that it was made of.")
    evaluation: DataReference = Field(default=DataReference(), description="The data that it was measured with.")
    # JSON for the same reason as the spec of JobReport.
    pipeline: list[dict[str, Any]] = Field(default=[], description="The pipeline as the job had it.")
    stages: list[StageReport] = Field(default=[], description="The stages that the result has been through.")
    verdict: Verdict | None = Field(default=None, description="The verdict on it.")
    given_up: list[str] = Field(default=[], description="Stages that it has not been through, after a fallback.")
    versions: dict[str, str] = Field(default={}, description="Versions by library, and that of python.")
    created: str = Field(default="", description="When the result was judged.")
    review: ReviewOutcome | None = Field(default=None, description="Who approved its publication, when and why.")
