"""The compressed model: its files, digest and location."""

from pydantic import Field

from compressionjob.report.section import ReportSection


class FileReport(ReportSection):
    """One file of a compressed model."""

    path: str = Field(default="", description="Path within the model.")
    size_bytes: int = Field(default=0, description="Size.")
    sha256: str = Field(default="", description="SHA-256.")
    weights: bool = Field(default=False, description="Whether it counts for the size of the model.")


class PackingReport(ReportSection):
    """The packing of files."""

    codec: str = Field(default="", description="Codec.")
    files: dict[str, FileReport] = Field(default={}, description="Unpacked file of each packed file, by its path.")


class ArtifactReport(ReportSection):
    """The compressed model, published or not."""

    uri: str = Field(default="", description="Location; empty if it was not published.")
    fingerprint: str = Field(default="", description="Fingerprint of its last step and of its checkpoint.")
    format: str = Field(default="", description="Format.")
    task: str = Field(default="", description="Task of the model.")
    digest: str = Field(default="", description="Digest of its content, as in artifact.json.")
    size_bytes: int = Field(default=0, description="Size of its weight and graph files.")
    files: list[FileReport] = Field(default=[], description="Files.")
    packing: PackingReport | None = Field(default=None, description="Packing; null if it is not packed.")
