"""CompressionReview: a person's decision about a compressed model."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from compressionjob.errors import InvalidSpec, problems_of
from compressionjob.field_types import ObjectName, Schema, TolerantSchema, cel, with_rules
from compressionjob.group import API_VERSION, REVIEW_KIND

Decision = Literal["Approve", "Reject"]
ReviewPolicy = Literal["Always", "OnInconclusive", "Never"]
Digest = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[a-z0-9]+:[a-f0-9]+$")]
Uid = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
Reason = Annotated[str, Field(min_length=1, max_length=1024)]
User = Annotated[str, Field(min_length=1, max_length=512)]

TIMEOUT_REVIEWER: Final = "timeout"
"""Reviewer in the outcome after ``spec.onReviewTimeout`` decided."""


class CompressionReviewSpec(Schema):
    """A decision about the compressed model of one job."""

    model_config = with_rules(cel("self == oldSelf", "a review cannot change; delete it and create another"))

    job: ObjectName = Field(description="Name of the CompressionJob, in the same namespace.")
    decision: Decision = Field(description="Approve publishes the model; Reject ends the job without publishing.")
    reason: Reason = Field(description="Reason of the decision, for readers of the provenance.")
    reviewer: User = Field(
        description="User name of the reviewer. The API server refuses any name but that of the requesting user."
    )
    job_uid: Uid = Field(
        alias="jobUID",
        description="metadata.uid of the job. The review does not count for another job of the same name.",
    )
    digest: Digest = Field(
        description="Digest of the reviewed model (status.digest). The review does not count for another model."
    )


class ReviewMetadata(TolerantSchema):
    """The part of a review's metadata that this project reads."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    namespace: str = "default"


class CompressionReview(TolerantSchema):
    """A CompressionReview manifest."""

    api_version: Literal["compression-operator.io/v1alpha1"] = API_VERSION
    kind: Literal["CompressionReview"] = REVIEW_KIND
    metadata: ReviewMetadata
    spec: CompressionReviewSpec


class ReviewOutcome(TolerantSchema):
    """Outcome of a review, in the status, the report and the provenance."""

    name: Annotated[str, Field(max_length=253)] = Field(default="", description="Name of the CompressionReview.")
    reviewer: Annotated[str, Field(max_length=512)] = Field(description="User who decided.")
    decision: Decision = Field(description="Decision.")
    reason: Annotated[str, Field(max_length=1024)] = Field(description="Reason of the decision.")
    time: Annotated[str, Field(max_length=40)] = Field(description="Time of the decision.")


def parse_review(manifest: dict[str, Any]) -> CompressionReview:
    """Read a CompressionReview.

    Raises InvalidSpec, which names every field that is wrong, its value and the remedy.
    """
    try:
        return CompressionReview.model_validate(manifest)
    except ValidationError as error:
        raise InvalidSpec(problems_of(error, model=CompressionReview)) from error
