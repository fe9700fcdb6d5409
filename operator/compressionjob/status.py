"""CompressionJob's status: what ``kubectl get cpj`` and ``kubectl describe`` show."""

from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from compressionjob.conditions import Condition
from compressionjob.notifications import MAX_NOTIFICATIONS, Notification
from compressionjob.parts import Part
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
from compressionjob.schema import Observed
from compressionjob.sla import Verdict
from compressionjob.stores import MAX_NAMED, StoreConnection
from compressionjob.terms import Terms
from compressionjob.usage import ActiveTime, Interruptions, Usage

Phase = Literal["Pending", "Running", "Suspended", "AwaitingReview", "Succeeded", "Failed"]
PHASES: tuple[Phase, ...] = get_args(Phase)
TERMINAL_PHASES: frozenset[str] = frozenset({"Succeeded", "Failed"})

MAX_STEPS: Final = 64
"""Most steps of a run that are kept."""
MAX_CONDITIONS: Final = 32

Text = Annotated[str, Field(max_length=256)]
Time = Annotated[str, Field(max_length=40)]


class ChildReference(Observed):
    """The batch/v1 Job that works for a CompressionJob."""

    name: Annotated[str, Field(max_length=253)] = Field(description="Its name.")
    uid: Annotated[str, Field(max_length=64)] = Field(description="Its uid.")


class CompressionJobStatus(Observed):
    """State of a job. ``phase`` is a summary of the conditions for people; programs read the conditions."""

    observed_generation: int = Field(default=0, description="Generation of the spec that this status speaks of.")
    phase: Phase = Field(
        default="Pending", description="Pending, Running, Suspended, AwaitingReview, Succeeded or Failed."
    )
    reason: Annotated[str, Field(max_length=128)] = Field(
        default="", description="Why it is in this phase: the reason of the condition that explains it best."
    )
    part: Part | None = Field(
        default=None, description="What the present Job does: Run (all), Compress, Measure, Publish or Clean."
    )
    measuring_runtime: Annotated[str, Field(max_length=253)] = Field(
        default="", description="The CompressionRuntime that measures, where it is another than spec.runtime."
    )
    stores: Annotated[list[StoreConnection], Field(max_length=MAX_NAMED)] = Field(
        default=[], description="The CompressionStores that it uses, as they were when its first Job was created."
    )
    stage: Text = Field(default="", description="What is being done.")
    progress: Annotated[int, Field(ge=0, le=100)] | None = Field(default=None, description="Per cent done.")
    progress_text: Annotated[str, Field(max_length=8)] = Field(
        default="", description="The same with its sign, as kubectl get shows it: 81%."
    )
    steps: Annotated[list[RunStep], Field(max_length=MAX_STEPS)] = Field(
        default=[], description="The steps of the run in order, as far as its pod told."
    )
    verdict: Verdict | None = Field(default=None, description="Pass, Fail, Inconclusive, or NoLimits.")
    confidence: Annotated[str, Field(max_length=16)] | None = Field(
        default=None, description="Confidence of the verdict."
    )
    size_ratio: Annotated[str, Field(max_length=16)] | None = Field(
        default=None, description="Size of the result divided by the baseline's."
    )
    latency_p99: Annotated[str, Field(max_length=16)] | None = Field(
        default=None, alias="latencyP99", description="99th percentile of the result's latency."
    )
    message: Sentence = Field(default="", description="The state in one sentence.")
    fallback: FallbackSentence = Field(
        default="", description="Where an earlier stage's result was published: which, and what was given up."
    )
    objectives: Objectives = Field(default=[], description="Limit by limit.")
    anomalies: Anomalies = Field(default=[], description="Promises of the methods that the result does not keep.")
    baseline: SideSummary | None = Field(default=None, description="Figures of the baseline.")
    compressed: SideSummary | None = Field(default=None, description="Figures of the result.")
    report: ResultLocation = Field(default="", description="Where report.json, report.html and report.md are.")
    artifact: ResultLocation = Field(default="", description="Where the published model is.")
    digest: Fingerprint = Field(
        default="", description="Digest of the model that is published, or waits for its review."
    )
    checkpoint: Fingerprint = Field(default="", description="Fingerprint of the checkpoint that holds that model.")
    report_digest: Fingerprint = Field(
        default="", description="Digest of report.json, as the pod wrote it that gave the verdict."
    )
    review: ReviewOutcome | None = Field(default=None, description="Who decided about publishing, when and why.")
    child_job: ChildReference | None = Field(default=None, description="The Job that works for this one.")
    queue: Annotated[str, Field(max_length=253)] = Field(
        default="", description="The queue in which its Jobs wait; fixed when the first is created."
    )
    children_created: Annotated[int, Field(ge=0)] = Field(default=0, description="How many Jobs were created for it.")
    restarts: Annotated[int, Field(ge=0)] = Field(
        default=0, description="How often a part was begun again because the verdict of its pod was lost."
    )
    retries: Annotated[int, Field(ge=0)] = Field(default=0, description="Failed tries so far, preemptions not counted.")
    interruptions: Interruptions | None = Field(
        default=None, description="How often the job lost its pod to preemption, eviction or its queue."
    )
    terms: Terms | None = Field(
        default=None, description="What its runtimes and the operator required of the job when it was accepted."
    )
    start_time: Time | None = Field(default=None, description="When the first pod could start.")
    completion_time: Time | None = Field(default=None, description="When the job ended.")
    deadline_time: Time | None = Field(
        default=None, description="When spec.deadline passes; absent while the job is held or has ended."
    )
    expected_completion_time: Time | None = Field(
        default=None, description="When the running pod expects to be done; absent where that cannot be told."
    )
    active_time: ActiveTime | None = Field(
        default=None, description="How long its Jobs were active: what counts against spec.deadline."
    )
    cost: Annotated[str, Field(max_length=24)] | None = Field(
        default=None, description="What the job's pods have cost so far; absent where no runtime has a price."
    )
    usage: Usage | None = Field(default=None, description="How long which pods ran, at which price.")
    notifications: Annotated[list[Notification], Field(max_length=MAX_NOTIFICATIONS)] = Field(
        default=[], description="What receivers are told, and what became of it."
    )
    space: SpaceUsed | None = Field(default=None, description="Bytes that the job's files take in its store.")
    retention: RetentionStatus | None = Field(
        default=None, description="Lifetimes of the job's files, and what was removed; absent where all are kept."
    )
    conditions: Annotated[list[Condition], Field(max_length=MAX_CONDITIONS)] = Field(
        default=[],
        description="The conditions, one of each type.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
