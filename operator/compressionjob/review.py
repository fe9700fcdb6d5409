"""CompressionReview: what a person decides about a result, and what is kept of it."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from compressionjob.errors import InvalidSpec, problems_of
from compressionjob.group import API_VERSION, REVIEW_KIND
from compressionjob.schema import ObjectName, Observed, Schema, cel, with_rules

Decision = Literal["Approve", "Reject"]
ReviewPolicy = Literal["Always", "OnInconclusive", "Never"]
Digest = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[a-z0-9]+:[a-f0-9]+$")]
Uid = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
Reason = Annotated[str, Field(min_length=1, max_length=1024)]
User = Annotated[str, Field(min_length=1, max_length=512)]

TIMEOUT_REVIEWER: Final = "timeout"
"""Stands for a person where ``spec.onReviewTimeout`` has decided."""


class CompressionReviewSpec(Schema):
    """A decision about one job that waits for it, and about the very result that it waits with."""

    model_config = with_rules(cel("self == oldSelf", "a review cannot change; delete it and create another"))

    job: ObjectName = Field(description="Name of the CompressionJob, in the same namespace.")
    decision: Decision = Field(description="Approve publishes the result; Reject ends the job without publishing.")
    reason: Reason = Field(description="Why, for whoever reads the provenance later.")
    reviewer: User = Field(
        description="User name of the reviewer; the API server refuses a name that is not the one of who asks."
    )
    job_uid: Uid = Field(
        alias="jobUID",
        description="The job's metadata.uid; for another job of the same name the review does not count.",
    )
    digest: Digest = Field(
        description="Digest of the result that was looked at (status.digest); for another one it does not count."
    )


class ReviewMetadata(Observed):
    """The part of a review's metadata that this project reads."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    namespace: str = "default"


class CompressionReview(Observed):
    """A CompressionReview manifest."""

    api_version: Literal["compression-operator.io/v1alpha1"] = API_VERSION
    kind: Literal["CompressionReview"] = REVIEW_KIND
    metadata: ReviewMetadata
    spec: CompressionReviewSpec


class ReviewOutcome(Observed):
    """How a review ended: who decided what, when and why. In the status, the report and the artifact's provenance."""

    name: Annotated[str, Field(max_length=253)] = Field(default="", description="Name of the CompressionReview.")
    reviewer: Annotated[str, Field(max_length=512)] = Field(description="Who decided.")
    decision: Decision = Field(description="What was decided.")
    reason: Annotated[str, Field(max_length=1024)] = Field(description="Why.")
    time: Annotated[str, Field(max_length=40)] = Field(description="When.")


def parse_review(manifest: dict[str, Any]) -> CompressionReview:
    """Read a CompressionReview.

    Raises InvalidSpec, which names every field that is wrong, its value and the remedy.
    """
    try:
        return CompressionReview.model_validate(manifest)
    except ValidationError as error:
        raise InvalidSpec(problems_of(error, model=CompressionReview)) from error
