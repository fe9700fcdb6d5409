"""The status of a CompressionJob, which ``kubectl get cpj`` and ``kubectl describe`` show."""

from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from compressionjob.conditions import Condition
from compressionjob.field_types import TolerantSchema
from compressionjob.job_parts import Part
from compressionjob.notifications import MAX_NOTIFICATIONS, Notification
from compressionjob.report import RunStep, SideSummary
from compressionjob.report.bounds import (
    Anomalies,
    FallbackSentence,
    Fingerprint,
    Objectives,
    ResultLocation,
    Sentence,
)
from compressionjob.retention import RetentionStatus, SpaceUsed
from compressionjob.review import ReviewOutcome
from compressionjob.stores import MAX_NAMED, StoreConnection
from compressionjob.terms import Terms
from compressionjob.usage import ActiveTime, Interruptions, Usage
from compressionjob.verdict import Verdict

Phase = Literal["Pending", "Running", "Suspended", "AwaitingReview", "Succeeded", "Failed"]
PHASES: tuple[Phase, ...] = get_args(Phase)
TERMINAL_PHASES: frozenset[str] = frozenset({"Succeeded", "Failed"})

MAX_STEPS: Final = 64
"""Largest number of steps in a status."""
MAX_CONDITIONS: Final = 32

Text = Annotated[str, Field(max_length=256)]
Time = Annotated[str, Field(max_length=40)]


class ChildReference(TolerantSchema):
    """The batch/v1 Job that works for a CompressionJob."""

    name: Annotated[str, Field(max_length=253)] = Field(description="Name of the Job.")
    uid: Annotated[str, Field(max_length=64)] = Field(description="uid of the Job.")


class CompressionJobStatus(TolerantSchema):
    """The state of a job. ``phase`` summarizes the conditions for people; programs read the conditions."""

    observed_generation: int = Field(default=0, description="Generation of the spec that this status describes.")
    phase: Phase = Field(
        default="Pending", description="Pending, Running, Suspended, AwaitingReview, Succeeded or Failed."
    )
    reason: Annotated[str, Field(max_length=128)] = Field(
        default="", description="Reason of the phase: that of the condition that explains it best."
    )
    part: Part | None = Field(
        default=None,
        description="Part that the current or last Job runs: Run (all), Compress, Measure or Publish. Clean, which "
        "removes files after the end, is not shown here: see retention.cleaning.",
    )
    measuring_runtime: Annotated[str, Field(max_length=253)] = Field(
        default="", description="CompressionRuntime that measures, if it is not spec.runtime."
    )
    stores: Annotated[list[StoreConnection], Field(max_length=MAX_NAMED)] = Field(
        default=[], description="CompressionStores of the job, as they were when its first Job was created."
    )
    stage: Text = Field(default="", description="Current step.")
    progress: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None, description="Completed share in percent."
    )
    progress_text: Annotated[str, Field(max_length=8)] = Field(
        default="", description="Progress with its sign, as kubectl get shows it: 81%."
    )
    steps: Annotated[list[RunStep], Field(max_length=MAX_STEPS)] = Field(
        default=[], description="Steps of the run in order, as reported by its pod."
    )
    verdict: Verdict | None = Field(default=None, description="Pass, Fail, Inconclusive, or NoLimits.")
    confidence: Annotated[str, Field(max_length=16)] | None = Field(
        default=None, description="Confidence of the verdict."
    )
    size_ratio: Annotated[str, Field(max_length=16)] | None = Field(
        default=None, description="Size of the compressed model divided by the baseline's."
    )
    latency_p99: Annotated[str, Field(max_length=16)] | None = Field(
        default=None, alias="latencyP99", description="p99 latency of the compressed model."
    )
    message: Sentence = Field(default="", description="State in one sentence.")
    fallback: FallbackSentence = Field(
        default="", description="After a fallback: the published stage and the dropped stages."
    )
    objectives: Objectives = Field(default=[], description="Results of the objectives, one for each limit.")
    anomalies: Anomalies = Field(default=[], description="Promises of the methods that the compressed model breaks.")
    baseline: SideSummary | None = Field(default=None, description="Measurements of the baseline.")
    compressed: SideSummary | None = Field(default=None, description="Measurements of the compressed model.")
    report: ResultLocation = Field(default="", description="Folder of report.json, report.html and report.md.")
    artifact: ResultLocation = Field(default="", description="Location of the published model.")
    digest: Fingerprint = Field(default="", description="Digest of the model that is published or waits for a review.")
    checkpoint: Fingerprint = Field(default="", description="Fingerprint of the checkpoint of that model.")
    report_digest: Fingerprint = Field(default="", description="Digest of report.json at the time of the verdict.")
    review: ReviewOutcome | None = Field(default=None, description="Outcome of the review.")
    child_job: ChildReference | None = Field(default=None, description="Current Job of this CompressionJob.")
    queue: Annotated[str, Field(max_length=253)] = Field(
        default="", description="Queue of its Jobs; fixed when the first Job is created."
    )
    children_created: Annotated[int, Field(ge=0)] = Field(default=0, description="Number of Jobs created for it.")
    restarts: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Number of times that a part was started again because its pod's verdict was lost."
    )
    retries: Annotated[int, Field(ge=0)] = Field(default=0, description="Failed attempts so far, without preemptions.")
    interruptions: Interruptions | None = Field(
        default=None, description="Number of times that the job lost its pod to preemption, eviction or its queue."
    )
    terms: Terms | None = Field(
        default=None, description="Requirements of its runtimes and the operator when the job was accepted."
    )
    start_time: Time | None = Field(default=None, description="Time at which the first pod was running.")
    completion_time: Time | None = Field(default=None, description="Time at which the job ended.")
    deadline_time: Time | None = Field(
        default=None, description="Time at which spec.deadline passes; absent while the job is on hold or has ended."
    )
    expected_completion_time: Time | None = Field(
        default=None, description="Expected completion time of the running pod; absent without a forecast."
    )
    active_time: ActiveTime | None = Field(
        default=None, description="Time that its Jobs were active, which counts against spec.deadline."
    )
    cost: Annotated[str, Field(max_length=24)] | None = Field(
        default=None, description="Cost of the job's pods so far; absent if no runtime has a price."
    )
    usage: Usage | None = Field(default=None, description="Running times and prices of its pods.")
    notifications: Annotated[list[Notification], Field(max_length=MAX_NOTIFICATIONS)] = Field(
        default=[], description="Notifications to receivers, and their results."
    )
    space: SpaceUsed | None = Field(default=None, description="Space that the job's files use in its store.")
    retention: RetentionStatus | None = Field(
        default=None, description="Lifetimes of the job's files, and their removal; absent if all files are kept."
    )
    conditions: Annotated[list[Condition], Field(max_length=MAX_CONDITIONS)] = Field(
        default=[],
        description="Conditions, one of each type.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
