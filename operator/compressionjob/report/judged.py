"""What a verdict is about: kept in the job's status, and given to the pod that publishes it after a review."""

from typing import Annotated

from pydantic import Field

from compressionjob.schema import Observed


class Judged(Observed):
    """The result and the report that a verdict was given on, each by its digest."""

    digest: Annotated[str, Field(min_length=1, max_length=80)] = Field(
        description="Digest of the result, as in artifact.json: it covers every file."
    )
    checkpoint: Annotated[str, Field(max_length=80)] = Field(
        default="", description="Fingerprint of the checkpoint that holds it; empty where the run did not tell."
    )
    report_digest: Annotated[str, Field(max_length=80)] = Field(
        default="", description="sha256:... of report.json as the run wrote it; empty where the run did not tell."
    )
