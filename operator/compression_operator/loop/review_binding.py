"""Validity of reviews: a review counts if it names the uid of its job and the digest of the waiting result.

Times are not compared: the API server sets those of reviews, and the operator those of the job's conditions.
"""

from dataclasses import dataclass
from typing import Literal

from compression_operator.records.job import JobRecord
from compression_operator.records.review import ReviewRecord
from compressionjob.conditions import REVIEWED
from compressionjob.status import CompressionJobStatus

Cause = Literal["NoSuchJob", "FieldsMissing", "WrongJob", "OwnReview", "Ended", "Decided", "NotAwaited", "WrongDigest"]


@dataclass(frozen=True, slots=True)
class Ignored:
    """Why a review does not count: a ``summary`` for the job's status, a ``text`` with the remedy for the reviewer."""

    cause: Cause
    summary: str
    text: str


def why_ignored(review: ReviewRecord, job: JobRecord | None, status: CompressionJobStatus | None) -> Ignored | None:
    """Return why a review does not count; None if it counts or has decided. ``job`` is the job that it names."""
    if job is None or status is None:
        text = f"there is no CompressionJob {review.job} in the namespace {review.namespace}: check spec.job"
        return Ignored("NoSuchJob", "there is no such job", text)
    if status.review is not None and status.review.name == review.name:
        return None
    return (
        _unbound(review, job)
        or _of_author(review, job, status)
        or _unawaited(review, job, status)
        or _of_another_result(review, status)
    )


def _unbound(review: ReviewRecord, job: JobRecord) -> Ignored | None:
    if not review.job_uid or not review.digest:
        fields = [("spec.jobUID", review.job_uid), ("spec.digest", review.digest)]
        missing = " and ".join(name for name, value in fields if not value)
        command = f"kubectl compress {review.decision.lower() or 'approve'} {review.job}"
        text = f"it has no {missing}, which older versions did not require: delete it and make another with {command}"
        return Ignored("FieldsMissing", f"it has no {missing}", text)
    if review.job_uid != job.uid:
        text = (
            f"spec.jobUID is {review.job_uid}, and the job {job.name} has the uid {job.uid}: it is another job of the "
            "same name; look at its report, then make another review"
        )
        return Ignored("WrongJob", "its jobUID is that of another job", text)
    return None


def _of_author(review: ReviewRecord, job: JobRecord, status: CompressionJobStatus) -> Ignored | None:
    if status.terms is None or not status.terms.separation or review.reviewer != job.author:
        return None
    text = (
        f"spec.reviewer is {review.reviewer}, the author of the job {job.name}, and the platform team requires another "
        "reviewer: ask a colleague who may review"
    )
    return Ignored("OwnReview", "the author's own review", text)


def _unawaited(review: ReviewRecord, job: JobRecord, status: CompressionJobStatus) -> Ignored | None:
    if job.ended:
        how = f"{job.phase} ({job.reason})" if job.reason else job.phase
        return Ignored("Ended", "the job has ended", f"the job {job.name} awaits no review: it has ended with {how}")
    if status.review is not None:
        decision = f"{status.review.decision} of {status.review.reviewer}"
        return Ignored("Decided", "another one decided", f"the job {job.name} awaits no review: {decision} has decided")
    if not any(item.type == REVIEWED and item.status == "Unknown" for item in status.conditions):
        text = (
            f"the job {job.name} awaits no review yet: it is {job.phase}. This review counts once the job awaits one "
            f"of {review.digest}"
        )
        return Ignored("NotAwaited", "the job awaits no review yet", text)
    return None


def _of_another_result(review: ReviewRecord, status: CompressionJobStatus) -> Ignored | None:
    if review.digest == status.digest:
        return None
    text = (
        f"spec.digest is {review.digest}, and the job {review.job} awaits a review of {status.digest}: look at its "
        "report, then make another review"
    )
    return Ignored("WrongDigest", "its digest is that of another result", text)
