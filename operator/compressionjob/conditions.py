"""Condition types and reasons. They are part of the API."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from compressionjob.field_types import TolerantSchema

# Types. A job ends as Complete or Failed, so `kubectl wait --for=condition=Complete` works.
ACCEPTED: Final = "Accepted"
"""The spec is valid. False ends the job before a pod starts, unless the reason may pass."""
SCHEDULED: Final = "Scheduled"
"""The pod has a node."""
SUSPENDED: Final = "Suspended"
"""The job is on hold and has no pod."""
COMPLETE: Final = "Complete"
"""The job ended and published a model."""
FAILED: Final = "Failed"
"""The job ended without publishing a model."""
SLA_SATISFIED: Final = "SLASatisfied"
"""The verdict: True is Pass, False is Fail, Unknown is Inconclusive or NoLimits."""
AS_PROMISED: Final = "AsPromised"
"""The compressed model is as small, fast and exact as its methods promise, whatever the SLA requires."""
REVIEWED: Final = "Reviewed"
"""A person's decision: Unknown while the job waits for it without a pod, True is approved, False is rejected."""
DEADLINE_AT_RISK: Final = "DeadlineAtRisk"
"""The job is expected to end after its deadline; absent where there is no deadline or no forecast."""

CLEANED_UP: Final = "CleanedUp"
"""The files whose lifetime is over were removed. Absent until the first lifetime is over."""

RECEIVERS_FOUND: Final = "ReceiversFound"
"""Every receiver in spec.notifications exists. The job continues either way."""

STATUS_COMPLETE: Final = "StatusComplete"
"""False: the API server refused the full status, so fields of it are missing. Absent where it accepted all of it."""

READY: Final = "Ready"
"""True once the job has succeeded, False while it runs and after it failed. Generic tools wait for this condition."""
RECONCILING: Final = "Reconciling"
"""True while the job has not ended; absent otherwise."""
STALLED: Final = "Stalled"
"""True where the job has failed and a person must act; absent otherwise."""

FOR_OTHER_TOOLS: Final = (READY, RECONCILING, STALLED)
"""Conditions derived from the others, for tools that do not know CompressionJob."""
CONDITION_TYPES: Final = (
    ACCEPTED, SCHEDULED, SUSPENDED, COMPLETE, FAILED, SLA_SATISFIED, AS_PROMISED, REVIEWED, DEADLINE_AT_RISK,
    CLEANED_UP, RECEIVERS_FOUND, STATUS_COMPLETE, *FOR_OTHER_TOOLS,
)  # fmt: skip

# Reasons of Accepted.
VALID: Final = "Valid"
INVALID_SPEC: Final = "InvalidSpec"
RUNTIME_NOT_FOUND: Final = "RuntimeNotFound"  # not permanent: the job waits for it
INVALID_RUNTIME: Final = "InvalidRuntime"  # not permanent: the platform team can fix it
RUNTIME_WITHOUT_PRICE: Final = "RuntimeWithoutPrice"  # not permanent: a job with a limit on cost waits for the price
RUNTIME_NOT_ALLOWED: Final = "RuntimeNotAllowed"  # the runtime does not allow the namespace: the job waits
AUTHOR_NOT_VERIFIED: Final = "AuthorNotVerified"  # no policy pins spec.author, which the review needs: the job waits
STORE_REQUIRED: Final = "StoreRequired"  # the namespace has stores, and the job names a Secret, endpoint or claim
LOCATION_NOT_ALLOWED: Final = "LocationNotAllowed"  # outside the prefixes of its store, or below a read-only prefix
STORE_NOT_FOUND: Final = "StoreNotFound"  # not permanent: the job waits for it
INVALID_STORE: Final = "InvalidStore"  # not permanent: the platform team can fix it

# Reasons of Scheduled. Unschedulable has the scheduler's own message.
POD_SCHEDULED: Final = "PodScheduled"
WAITING_FOR_POD: Final = "WaitingForPod"
UNSCHEDULABLE: Final = "Unschedulable"
PREEMPTED: Final = "Preempted"  # its pod was taken away: preempted, drained, or lost with its node
QUEUED: Final = "Queued"  # suspended by a queue such as Kueue
WAITING_FOR_MEASURING_SLOT: Final = "WaitingForMeasuringSlot"  # no node has free CPUs that the pod could have alone
MEASURING_FIRST: Final = "MeasuringFirst"  # held back, so that jobs that wait for a measuring slot get their node
DESTINATION_IN_USE: Final = "DestinationInUse"  # another job's pods may write there
PODS_LEFT: Final = "PodsLeft"  # an earlier pod of the job has not ended
JOB_ENDED: Final = "JobEnded"
IMAGE_PULL_FAILED: Final = "ImagePullFailed"
CONTAINER_CONFIG_ERROR: Final = "ContainerConfigError"  # a Secret or key is missing; the message is the kubelet's

CANNOT_START: Final = (IMAGE_PULL_FAILED, CONTAINER_CONFIG_ERROR)
"""The pod has a node, and a person must act before it starts."""

STUCK: Final = (
    UNSCHEDULABLE, *CANNOT_START, RUNTIME_NOT_FOUND, INVALID_RUNTIME, RUNTIME_WITHOUT_PRICE, RUNTIME_NOT_ALLOWED,
    AUTHOR_NOT_VERIFIED, STORE_NOT_FOUND, INVALID_STORE,
)  # fmt: skip
"""Reasons of Pending that do not pass by waiting."""

# Reasons of Suspended.
SUSPENDED_BY_USER: Final = "SuspendedByUser"
SUSPENDING: Final = "Suspending"  # the queue knows, and the pod is ending
RESUMED: Final = "Resumed"

# Reasons of Complete, Failed.
SLA_MET: Final = "SLAMet"
PUBLISHED_WITHOUT_LIMITS: Final = "PublishedWithoutLimits"  # there was nothing to judge
PUBLISHED_FALLBACK: Final = "PublishedFallback"  # onViolation: Fallback: the model of an earlier stage, which passes
PUBLISHED_DESPITE_VIOLATION: Final = "PublishedDespiteViolation"  # onViolation: Alert
SLA_VIOLATED: Final = "SLAViolated"
SLA_INCONCLUSIVE: Final = "SLAInconclusive"
PUBLISHED_AFTER_REVIEW: Final = "PublishedAfterReview"  # approved though the verdict is no Pass
REVIEW_REJECTED: Final = "ReviewRejected"
REVIEW_TIMED_OUT: Final = "ReviewTimedOut"
INVALID_INPUT: Final = "InvalidInput"
BAD_RECIPE: Final = "BadRecipe"
OUT_OF_MEMORY: Final = "OutOfMemory"
KILLED: Final = "Killed"
DISK_FULL: Final = "DiskFull"
STORAGE_UNAVAILABLE: Final = "StorageUnavailable"
DEADLINE_EXCEEDED: Final = "DeadlineExceeded"
BUDGET_EXCEEDED: Final = "BudgetExceeded"
RETRIES_EXHAUSTED: Final = "RetriesExhausted"
INTERRUPTED_TOO_OFTEN: Final = "InterruptedTooOften"  # more often than maxInterruptions allows
CHILD_LOST: Final = "ChildLost"  # the child Job was deleted more often than retries allow
CHILD_CONFLICT: Final = "ChildConflict"  # a Job of that name belongs to another owner
SUMMARY_MISSING: Final = "SummaryMissing"  # the pod succeeded, but its termination message is missing
RESULT_CHANGED: Final = "ResultChanged"  # the published model is not the one that was judged

FAILURE_REASONS: Final = (
    SLA_VIOLATED, SLA_INCONCLUSIVE, REVIEW_REJECTED, REVIEW_TIMED_OUT, INVALID_SPEC, INVALID_INPUT, BAD_RECIPE,
    OUT_OF_MEMORY, KILLED, DISK_FULL, STORAGE_UNAVAILABLE, DEADLINE_EXCEEDED, BUDGET_EXCEEDED, RETRIES_EXHAUSTED,
    INTERRUPTED_TOO_OFTEN, CHILD_LOST, CHILD_CONFLICT, SUMMARY_MISSING, RESULT_CHANGED, STORE_REQUIRED,
    LOCATION_NOT_ALLOWED,
)  # fmt: skip
"""Why an attempt or a job fails. Metrics start with a series for each, so that the first failure is an increase."""

# Reasons of SLASatisfied, AsPromised.
VERDICT_PASS: Final = "Pass"
VERDICT_FAIL: Final = "Fail"
VERDICT_INCONCLUSIVE: Final = "Inconclusive"
VERDICT_NO_LIMITS: Final = "NoLimits"
NO_VERDICT_YET: Final = "NoVerdictYet"
NO_VERDICT: Final = "NoVerdict"  # the job ended without a verdict
PROMISES_KEPT: Final = "PromisesKept"
PROMISE_BROKEN: Final = "PromiseBroken"

# Reasons of Reviewed, with ReviewTimedOut.
AWAITING_REVIEW: Final = "AwaitingReview"
APPROVED: Final = "Approved"
REJECTED: Final = "Rejected"

# Reasons of DeadlineAtRisk.
FORECAST_LATE: Final = "ForecastLate"
FORECAST_IN_TIME: Final = "ForecastInTime"
CLOCK_STOPPED: Final = "ClockStopped"  # suspended by a user or a queue, or waiting for a review

# Reasons of CleanedUp.
FILES_REMOVED: Final = "FilesRemoved"
REMOVAL_WAITS: Final = "RemovalWaits"  # another job uses the files, or the Job cannot start
REMOVAL_FAILED: Final = "RemovalFailed"

# Reasons of ReceiversFound.
ALL_FOUND: Final = "AllFound"
RECEIVER_NOT_FOUND: Final = "ReceiverNotFound"

# Reason of StatusComplete.
STATUS_REFUSED: Final = "StatusRefused"

ConditionType = Literal[
    "Accepted", "Scheduled", "Suspended", "Complete", "Failed", "SLASatisfied", "AsPromised", "Reviewed",
    "DeadlineAtRisk", "CleanedUp", "ReceiversFound", "StatusComplete", "Ready", "Reconciling", "Stalled",
]  # fmt: skip


class Condition(TolerantSchema):
    """A condition, as in metav1.Condition."""

    type: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="Type of the condition.")
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    reason: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        description="Reason as a CamelCase word, for programs."
    )
    message: Annotated[str, Field(max_length=4096)] = Field(default="", description="Reason in a sentence, for people.")
    last_transition_time: Annotated[str, Field(max_length=40)] = Field(description="When the status last changed.")
    observed_generation: int = Field(default=0, description="Generation of the spec that the condition describes.")


def reason_of(phase: str, conditions: Mapping[str, tuple[str, str]]) -> str:
    """Return the reason that explains a phase best, "" where the phase needs none.

    ``conditions`` are type -> (status, reason).
    """
    for kind in (COMPLETE, FAILED, SUSPENDED):
        status, reason = conditions.get(kind, ("", ""))
        if status == "True":
            return reason
    status, reason = conditions.get(ACCEPTED, ("", ""))
    if status == "False":
        return reason
    return conditions.get(SCHEDULED, ("", ""))[1] if phase == "Pending" else ""
