"""The result of a verdict. The job's status keeps it for the pod that publishes it after a review."""

from typing import Annotated

from pydantic import Field

from compressionjob.field_types import TolerantSchema


class JudgedResult(TolerantSchema):
    """The model and the report of a verdict, each by its digest."""

    digest: Annotated[str, Field(min_length=1, max_length=80)] = Field(
        description="Digest of the model as in artifact.json, over all files."
    )
    checkpoint: Annotated[str, Field(max_length=80)] = Field(
        default="", description="Fingerprint of its checkpoint; empty if the run did not report it."
    )
    report_digest: Annotated[str, Field(max_length=80)] = Field(
        default="", description="sha256:... of report.json as the run wrote it; empty if the run did not report it."
    )
