"""The result itself: its files, its digest, and where it was published."""

from pydantic import Field

from compressionjob.report.section import ReportSection


class FileReport(ReportSection):
    """One file of a result."""

    path: str = Field(default="", description="Its path within the result.")
    size_bytes: int = Field(default=0, description="Its size.")
    sha256: str = Field(default="", description="Its SHA-256.")
    weights: bool = Field(default=False, description="Whether it counts for the size of the model.")


class PackingReport(ReportSection):
    """How files were packed."""

    codec: str = Field(default="", description="The codec.")
    files: dict[str, FileReport] = Field(default={}, description="What each packed file unpacks to, by its path.")


class ArtifactReport(ReportSection):
    """The result, published or not."""

    uri: str = Field(default="", description="Where it was published; empty where it was not.")
    fingerprint: str = Field(default="", description="Fingerprint of its last step, under which its checkpoint lies.")
    format: str = Field(default="", description="Its format.")
    task: str = Field(default="", description="What the model does.")
    digest: str = Field(default="", description="Digest of its content, as in artifact.json.")
    size_bytes: int = Field(default=0, description="Size of its weight and graph files.")
    files: list[FileReport] = Field(default=[], description="Its files.")
    packing: PackingReport | None = Field(default=None, description="How it is packed; null where it is not.")
