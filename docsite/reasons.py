"""Every reason that a CompressionJob may show, grouped by what has happened, with its meaning and the next step."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from compressionjob import conditions
from docsite.cells import text_cell
from kubectl_compress.advice import OF_CONDITION, OF_WAITING, advice, remarks
from kubectl_compress.job import Job

MEANING: Final[Mapping[str, str]] = {
    conditions.VALID: "The specification is valid.",
    conditions.INVALID_SPEC: "A field has a value that cannot work. The message names field, value and remedy.",
    conditions.RUNTIME_NOT_FOUND: "No CompressionRuntime has the name in `spec.runtime`.",
    conditions.INVALID_RUNTIME: "The CompressionRuntime has a value that cannot work.",
    conditions.RUNTIME_WITHOUT_PRICE: "The job limits its cost, and the runtime has no `pricePerHour`.",
    conditions.RUNTIME_NOT_ALLOWED: "The runtime does not allow jobs of this namespace.",
    conditions.AUTHOR_NOT_VERIFIED: "A required review needs an author, and no policy verifies `spec.author`.",
    conditions.STORE_REQUIRED: "The namespace has CompressionStores, and the job names a Secret, endpoint or claim.",
    conditions.LOCATION_NOT_ALLOWED: "The store does not allow a location, or allows only reading there.",
    conditions.STORE_NOT_FOUND: "No CompressionStore of this namespace has the name in `spec.storage.store`.",
    conditions.INVALID_STORE: "The CompressionStore has a value that cannot work.",
    conditions.POD_SCHEDULED: "The pod has a node. The image is being pulled, or the container is starting.",
    conditions.WAITING_FOR_POD: "The pod does not exist yet. A quota or an admission policy may prevent it.",
    conditions.UNSCHEDULABLE: "No node has room for the pod. The message is that of the scheduler.",
    conditions.PREEMPTED: "The pod was preempted or drained, or its node was lost.",
    conditions.QUEUED: "A queue such as Kueue holds the job.",
    conditions.WAITING_FOR_MEASURING_SLOT: "No node has CPUs on which the job could measure alone.",
    conditions.MEASURING_FIRST: "Jobs that wait to be measured get the node first.",
    conditions.DESTINATION_IN_USE: "Pods of another job can still write to the same destination.",
    conditions.PODS_LEFT: "An earlier pod of the job has not ended.",
    conditions.JOB_ENDED: "The job has ended, so it has no pod.",
    conditions.IMAGE_PULL_FAILED: "The node cannot pull the image of the runtime.",
    conditions.CONTAINER_CONFIG_ERROR: "A Secret, or a key in it, is missing.",
    conditions.SUSPENDED_BY_USER: "`spec.suspend` is true.",
    conditions.SUSPENDING: "`spec.suspend` is true, and the pod is ending.",
    conditions.RESUMED: "`spec.suspend` is false again.",
    conditions.SLA_MET: "Every limit holds. The result is published.",
    conditions.PUBLISHED_WITHOUT_LIMITS: "The job sets no limits. The result is published.",
    conditions.PUBLISHED_FALLBACK: "The whole pipeline did not pass. The model of an earlier stage is published.",
    conditions.PUBLISHED_DESPITE_VIOLATION: "The verdict is not Pass. `onViolation: Alert` published the model.",
    conditions.SLA_VIOLATED: "A limit is broken. Nothing is published.",
    conditions.SLA_INCONCLUSIVE: "The measurement cannot decide a limit. Nothing is published.",
    conditions.PUBLISHED_AFTER_REVIEW: "A reviewer approved the result although the verdict is not Pass.",
    conditions.REVIEW_REJECTED: "A reviewer rejected the result.",
    conditions.REVIEW_TIMED_OUT: "No reviewer decided within `spec.reviewTimeout`.",
    conditions.INVALID_INPUT: "The model, the data or a key cannot be used. The message names field, value and remedy.",
    conditions.BAD_RECIPE: "A stage cannot compress this model in this way.",
    conditions.OUT_OF_MEMORY: "The pod used more memory than the runtime allows.",
    conditions.KILLED: "The pod was killed, but not for its memory limit.",
    conditions.DISK_FULL: "The work volume or the destination has no room.",
    conditions.STORAGE_UNAVAILABLE: "The object store did not answer in several attempts.",
    conditions.DEADLINE_EXCEEDED: "`spec.deadline` has passed.",
    conditions.BUDGET_EXCEEDED: "`spec.budget` is used up.",
    conditions.RETRIES_EXHAUSTED: "Each attempt that `spec.retries` allows has failed.",
    conditions.INTERRUPTED_TOO_OFTEN: "The pod was interrupted more often than `spec.maxInterruptions` allows.",
    conditions.CHILD_LOST: "The child Job was deleted more often than `spec.retries` allows.",
    conditions.CHILD_CONFLICT: "A Job with the name of the child Job belongs to another owner.",
    conditions.SUMMARY_MISSING: "The pod succeeded, but its termination message is missing.",
    conditions.RESULT_CHANGED: "The published result is not the one that was judged.",
    conditions.VERDICT_PASS: "Every limit holds.",
    conditions.VERDICT_FAIL: "A limit is broken.",
    conditions.VERDICT_INCONCLUSIVE: "The measurement cannot decide a limit.",
    conditions.VERDICT_NO_LIMITS: "The job sets no limits.",
    conditions.NO_VERDICT_YET: "The measurement has not ended.",
    conditions.NO_VERDICT: "The job ended before there was a verdict.",
    conditions.PROMISES_KEPT: "Size, speed and quality are as the methods promise.",
    conditions.PROMISE_BROKEN: "The result is larger, slower or less exact than the methods promise.",
    conditions.AWAITING_REVIEW: "The verdict is available, and a reviewer must decide.",
    conditions.APPROVED: "A reviewer approved the result.",
    conditions.REJECTED: "A reviewer rejected the result.",
    conditions.FORECAST_LATE: "The job is expected to end after its deadline.",
    conditions.FORECAST_IN_TIME: "The job is expected to end before its deadline.",
    conditions.CLOCK_STOPPED: "The job is held or waits for a review, so the deadline does not run.",
    conditions.FILES_REMOVED: "The lifetime of the files is over, and they are removed.",
    conditions.REMOVAL_WAITS: "Another job uses the files, or the Job that removes them cannot start.",
    conditions.REMOVAL_FAILED: "The files could not be removed.",
    conditions.ALL_FOUND: "Every receiver in `spec.notifications` exists.",
    conditions.RECEIVER_NOT_FOUND: "A name in `spec.notifications` belongs to no receiver.",
    conditions.STATUS_REFUSED: "The API server refused fields of the status: the CRDs are older than the operator.",
}  # fmt: skip
"""Reason -> what has happened."""
HELD: Final = (conditions.SUSPENDED_BY_USER, conditions.SUSPENDING)
PUBLISHED: Final = (
    conditions.SLA_MET, conditions.PUBLISHED_FALLBACK, conditions.PUBLISHED_AFTER_REVIEW,
    conditions.PUBLISHED_DESPITE_VIOLATION, conditions.PUBLISHED_WITHOUT_LIMITS,
)  # fmt: skip
GROUPS: Final[Mapping[str, Iterable[str]]] = {
    "The job waits (Pending)": OF_WAITING,
    "The job is held or waits for a person": (*HELD, conditions.AWAITING_REVIEW),
    "The job failed": conditions.FAILURE_REASONS,
    "A condition needs attention": OF_CONDITION,
    "The result is published": PUBLISHED,
}
"""Title -> reasons with a next step."""


def reasons() -> frozenset[str]:
    """Return every reason that the contract has."""
    constants = {value for name, value in vars(conditions).items() if name.isupper() and isinstance(value, str)}
    return frozenset(constants - set(conditions.CONDITION_TYPES))


def section() -> Iterator[str]:
    """Yield the section of the page that lists every reason."""
    yield from ("## Reasons", "")
    yield "The column REASON of `kubectl get cpj` shows one of these. NAME and NAMESPACE are those of your job."
    for title, group in GROUPS.items():
        yield from ("", f"### {title}", "", "| reason | next step |", "|---|---|")
        yield from (f"| `{reason}`<br>{MEANING[reason]} | {text_cell(next_step(reason))} |" for reason in group)
    yield from ("", "### No action is needed", "", "| reason | meaning |", "|---|---|")
    acted = {reason for group in GROUPS.values() for reason in group}
    yield from (f"| `{reason}` | {meaning} |" for reason, meaning in MEANING.items() if reason not in acted)


def next_step(reason: str) -> str:
    """Return what `kubectl compress status` advises for a job with this reason."""
    if reason in OF_CONDITION:
        return next(
            remarks(
                _job("Running", _type_of(reason), "True" if reason == conditions.FORECAST_LATE else "False", reason)
            )
        )
    if reason in PUBLISHED:
        verdict = conditions.VERDICT_NO_LIMITS if reason == conditions.PUBLISHED_WITHOUT_LIMITS else "Pass"
        return advice(_job("Succeeded", conditions.COMPLETE, "True", reason, verdict=verdict))
    if reason in OF_WAITING:
        return advice(_job("Pending", conditions.SCHEDULED, "False", reason))
    phase = "Suspended" if reason in HELD else conditions.AWAITING_REVIEW
    return advice(
        _job(phase if reason not in conditions.FAILURE_REASONS else "Failed", conditions.FAILED, "True", reason)
    )


def _type_of(reason: str) -> str:
    """Return the type of a condition that is bad with this reason."""
    late = {conditions.FORECAST_LATE: conditions.DEADLINE_AT_RISK}
    return late.get(reason, conditions.STATUS_COMPLETE)


def _job(phase: str, kind: str, status: str, reason: str, **more: Any) -> Job:
    condition = {"type": kind, "status": status, "reason": reason}
    return Job(
        {
            "metadata": {"name": "NAME", "namespace": "NAMESPACE"},
            "spec": {"runtime": "RUNTIME"},
            "status": {"phase": phase, "conditions": [condition], **more},
        }
    )
