"""Reasons of Events: part of what users see, so they are constants with a meaning."""

from typing import Final

STARTED: Final = "Started"
"""A child Job was created."""
RECREATED: Final = "Recreated"
"""Somebody deleted the child Job; another took its place."""
STRANGER_DELETED: Final = "StrangerDeleted"
"""A Job that said that it works for this one was not created by the operator."""
RUNNING: Final = "Running"
"""The pod runs."""
WAITING: Final = "Waiting"
"""The pod cannot start yet; the note says why."""
RETRYING: Final = "Retrying"
"""A try failed and counts; the next one follows."""
INTERRUPTED: Final = "Interrupted"
"""A pod was preempted, drained or lost its node; this does not count."""
SUSPENDED: Final = "Suspended"
"""The job is held."""
RESUMED: Final = "Resumed"
"""The job goes on."""
REFUSED: Final = "Refused"
"""The specification cannot work."""
NO_LIMITS: Final = "NoLimits"
"""The job sets no limits: its result is published whatever is measured."""
MEASURING: Final = "Measuring"
"""The stages are done; another pod measures, on its own runtime."""
AWAITING_REVIEW: Final = "AwaitingReview"
"""The verdict is out, and a person must decide; no pod waits meanwhile."""
REVIEWED: Final = "Reviewed"
"""A person has decided, or the time for it is over."""
REVIEW_IGNORED: Final = "ReviewIgnored"
"""A CompressionReview does not count; the note, which is about the review, says why."""
REVIEW_REQUIRED: Final = "ReviewRequired"
"""The platform team requires a review that the job did not ask for."""
LIMITED: Final = "Limited"
"""A setting was raised over the limit of the job's runtime; the limit holds."""
COMPLETED: Final = "Completed"
"""The job ended with a published result."""
FAILED: Final = "Failed"
"""The job ended without one."""
EXPIRED: Final = "Expired"
"""The job's ttl has passed; it is deleted."""
CHILD_FAILED: Final = "ChildCreationFailed"
"""The API server refused the child Job; the note says why."""
DEADLINE_AT_RISK: Final = "DeadlineAtRisk"
"""The job is expected to end after its deadline."""
RECEIVER_NOT_FOUND: Final = "ReceiverNotFound"
"""A name in spec.notifications is no receiver's; the job goes on without."""
NOTIFICATION_DROPPED: Final = "NotificationDropped"
"""A receiver did not take a notification, and it was given up; the note says why."""

ALL: Final = frozenset(
    {
        STARTED, RECREATED, RUNNING, WAITING, RETRYING, INTERRUPTED, SUSPENDED, RESUMED, REFUSED, COMPLETED, FAILED,
        EXPIRED, CHILD_FAILED, MEASURING, AWAITING_REVIEW, REVIEWED, DEADLINE_AT_RISK, RECEIVER_NOT_FOUND,
        NOTIFICATION_DROPPED, STRANGER_DELETED, REVIEW_IGNORED, NO_LIMITS,
        REVIEW_REQUIRED, LIMITED,
    }
)  # fmt: skip
"""Metrics use them as label values: their number is bounded."""
