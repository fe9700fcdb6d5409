"""Condition types and reasons: part of the API, so they are constants with a meaning."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field

from compressionjob.schema import Observed

# Types. Complete and Failed are the two ends, and `kubectl wait --for=condition=Complete` works.
ACCEPTED: Final = "Accepted"
"""The specification can work: False ends the job without a pod."""
SCHEDULED: Final = "Scheduled"
"""A node was found for the pod."""
SUSPENDED: Final = "Suspended"
"""The job is held, without a pod."""
COMPLETE: Final = "Complete"
"""The job ended with a result that was published."""
FAILED: Final = "Failed"
"""The job ended without one."""
SLA_SATISFIED: Final = "SLASatisfied"
"""The verdict: True is Pass, False is Fail, Unknown is Inconclusive or NoLimits."""
AS_PROMISED: Final = "AsPromised"
"""The result is as small, fast and exact as its method promises, whatever the SLA asks."""
REVIEWED: Final = "Reviewed"
"""A person's decision: Unknown while the job waits for it, without a pod; True is approved, False rejected."""
DEADLINE_AT_RISK: Final = "DeadlineAtRisk"
"""The job is expected to end after its deadline; absent where there is no deadline or no forecast."""

CLEANED_UP: Final = "CleanedUp"
"""Files of an ended job whose lifetime is over were removed; absent until the first lifetime is over."""

RECEIVERS_FOUND: Final = "ReceiversFound"
"""Every receiver in spec.notifications exists; the job goes on either way."""

STATUS_COMPLETE: Final = "StatusComplete"
"""False: the API server refused the full status, and fields of it are missing; absent where it took all of it."""

READY: Final = "Ready"
"""True once the job has succeeded; False while it goes on, and where it failed. Tools of all kinds wait for it."""
RECONCILING: Final = "Reconciling"
"""True while the job goes on; absent otherwise."""
STALLED: Final = "Stalled"
"""True where the job has failed, and nothing but a person goes on; absent otherwise."""

FOR_OTHER_TOOLS: Final = (READY, RECONCILING, STALLED)
"""Conditions that follow from the others, for tools that know no CompressionJob."""
CONDITION_TYPES: Final = (
    ACCEPTED, SCHEDULED, SUSPENDED, COMPLETE, FAILED, SLA_SATISFIED, AS_PROMISED, REVIEWED, DEADLINE_AT_RISK,
    CLEANED_UP, RECEIVERS_FOUND, STATUS_COMPLETE, *FOR_OTHER_TOOLS,
)  # fmt: skip

# Reasons of Accepted.
VALID: Final = "Valid"
INVALID_SPEC: Final = "InvalidSpec"
RUNTIME_NOT_FOUND: Final = "RuntimeNotFound"  # not permanent: the job waits for it
INVALID_RUNTIME: Final = "InvalidRuntime"  # not permanent either: the platform team can mend it
RUNTIME_WITHOUT_PRICE: Final = "RuntimeWithoutPrice"  # nor is this: a job with a limit on cost waits for the price
RUNTIME_NOT_ALLOWED: Final = "RuntimeNotAllowed"  # the runtime does not allow the namespace: the job waits
AUTHOR_NOT_VERIFIED: Final = "AuthorNotVerified"  # no policy pins spec.author, which the review needs: the job waits
STORE_REQUIRED: Final = "StoreRequired"  # the namespace has stores, and the job names a Secret, endpoint or claim
LOCATION_NOT_ALLOWED: Final = "LocationNotAllowed"  # outside the prefixes of its store, or written where it may read
STORE_NOT_FOUND: Final = "StoreNotFound"  # not permanent: the job waits for it
INVALID_STORE: Final = "InvalidStore"  # not permanent either: the platform team can correct it

# Reasons of Scheduled. Unschedulable carries the scheduler's own message.
POD_SCHEDULED: Final = "PodScheduled"
WAITING_FOR_POD: Final = "WaitingForPod"
UNSCHEDULABLE: Final = "Unschedulable"
PREEMPTED: Final = "Preempted"  # its pod was taken away: preempted, drained, or lost with its node
QUEUED: Final = "Queued"  # suspended by a queue such as Kueue
WAITING_FOR_MEASURING_SLOT: Final = "WaitingForMeasuringSlot"  # no node has CPUs that it would measure on alone
MEASURING_FIRST: Final = "MeasuringFirst"  # not begun, so that jobs that wait to be measured get their node
DESTINATION_IN_USE: Final = "DestinationInUse"  # another job's pods may write there
PODS_LEFT: Final = "PodsLeft"  # an earlier pod of the job has not ended
JOB_ENDED: Final = "JobEnded"
IMAGE_PULL_FAILED: Final = "ImagePullFailed"
CONTAINER_CONFIG_ERROR: Final = "ContainerConfigError"  # a Secret or key is missing: the kubelet's own message

CANNOT_START: Final = (IMAGE_PULL_FAILED, CONTAINER_CONFIG_ERROR)
"""The pod has a node, and a person must do something before it starts."""

STUCK: Final = (
    UNSCHEDULABLE, *CANNOT_START, RUNTIME_NOT_FOUND, INVALID_RUNTIME, RUNTIME_WITHOUT_PRICE, RUNTIME_NOT_ALLOWED,
    AUTHOR_NOT_VERIFIED, STORE_NOT_FOUND, INVALID_STORE,
)  # fmt: skip
"""Reasons of Pending that do not go away by waiting alone."""

# Reasons of Suspended.
SUSPENDED_BY_USER: Final = "SuspendedByUser"
SUSPENDING: Final = "Suspending"  # its queue was told, and the pod is ending
RESUMED: Final = "Resumed"

# Reasons of Complete, Failed.
SLA_MET: Final = "SLAMet"
PUBLISHED_WITHOUT_LIMITS: Final = "PublishedWithoutLimits"  # there was nothing to judge
PUBLISHED_FALLBACK: Final = "PublishedFallback"  # onViolation: Fallback: an earlier stage's result, which passes
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
CHILD_LOST: Final = "ChildLost"  # somebody deleted the child Job more often than retries allow
CHILD_CONFLICT: Final = "ChildConflict"  # a Job of that name belongs to somebody else
SUMMARY_MISSING: Final = "SummaryMissing"  # the pod ended well, but its termination message is gone
RESULT_CHANGED: Final = "ResultChanged"  # what a pod says that it published is not what was judged

FAILURE_REASONS: Final = (
    SLA_VIOLATED, SLA_INCONCLUSIVE, REVIEW_REJECTED, REVIEW_TIMED_OUT, INVALID_SPEC, INVALID_INPUT, BAD_RECIPE,
    OUT_OF_MEMORY, KILLED, DISK_FULL, STORAGE_UNAVAILABLE, DEADLINE_EXCEEDED, BUDGET_EXCEEDED, RETRIES_EXHAUSTED,
    INTERRUPTED_TOO_OFTEN, CHILD_LOST, CHILD_CONFLICT, SUMMARY_MISSING, RESULT_CHANGED, STORE_REQUIRED,
    LOCATION_NOT_ALLOWED,
)  # fmt: skip
"""Why a try or a whole job fails: metrics begin with a series for each, so that the first one is seen to happen."""

# Reasons of SLASatisfied, AsPromised.
VERDICT_PASS: Final = "Pass"
VERDICT_FAIL: Final = "Fail"
VERDICT_INCONCLUSIVE: Final = "Inconclusive"
VERDICT_NO_LIMITS: Final = "NoLimits"
NO_VERDICT_YET: Final = "NoVerdictYet"
NO_VERDICT: Final = "NoVerdict"  # the job ended before there was one
PROMISES_KEPT: Final = "PromisesKept"
PROMISE_BROKEN: Final = "PromiseBroken"

# Reasons of Reviewed; ReviewTimedOut too.
AWAITING_REVIEW: Final = "AwaitingReview"
APPROVED: Final = "Approved"
REJECTED: Final = "Rejected"

# Reasons of DeadlineAtRisk.
FORECAST_LATE: Final = "ForecastLate"
FORECAST_IN_TIME: Final = "ForecastInTime"
CLOCK_STOPPED: Final = "ClockStopped"  # held by its user or a queue, or waiting for a person

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


class Condition(Observed):
    """One condition, as in metav1.Condition."""

    type: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="Which condition.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether it holds.")
    reason: Annotated[str, Field(min_length=1, max_length=128)] = Field(description="Why, for machines.")
    message: Annotated[str, Field(max_length=4096)] = Field(default="", description="Why, for people.")
    last_transition_time: Annotated[str, Field(max_length=40)] = Field(description="When the status last changed.")
    observed_generation: int = Field(default=0, description="The generation of the spec that it speaks of.")


def reason_of(phase: str, conditions: Mapping[str, tuple[str, str]]) -> str:
    """Return the reason that explains a phase best, "" where the phase says it all.

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
