"""The cause of a failed child Job, from the reports of Kubernetes and the pod, and the end of its job."""

import re
from dataclasses import dataclass, replace
from typing import Final

from compression_operator.loop import steps
from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.policies import budget, interruptions, starting
from compression_operator.records.child import ChildRecord
from compression_operator.records.pod import PodRecord
from compression_operator.records.reading import ConditionRecord
from compression_operator.records.runtime import RuntimeRecord
from compressionjob import conditions
from compressionjob.conditions import (
    BAD_RECIPE,
    BUDGET_EXCEEDED,
    DEADLINE_EXCEEDED,
    DISK_FULL,
    INTERRUPTED_TOO_OFTEN,
    INVALID_INPUT,
    KILLED,
    OUT_OF_MEMORY,
    RETRIES_EXHAUSTED,
    STORAGE_UNAVAILABLE,
)
from compressionjob.exit_codes import PERMANENT, ExitCode
from compressionjob.field_types import format_duration, parse_duration
from compressionjob.pod_interface import CORRECT_KEYS
from compressionjob.report import parse_summary

_REASON_OF_CODE: Final[dict[int, str]] = {
    ExitCode.INVALID: INVALID_INPUT,
    ExitCode.RECIPE: BAD_RECIPE,
    ExitCode.DISK_FULL: DISK_FULL,
    ExitCode.STORAGE: STORAGE_UNAVAILABLE,
    ExitCode.KILLED: KILLED,
}
_TEXT_OF_CODE: Final[dict[int, str]] = {
    ExitCode.INVALID: "the specification or the input cannot work; the pod's log names the field",
    ExitCode.RECIPE: "a method of the pipeline cannot do this to this model; the pod's log names it",
    ExitCode.DISK_FULL: "no space left on disk; raise workspace.size of the runtime",
    ExitCode.STORAGE: "a source or the destination was unavailable",
    ExitCode.KILLED: "the pod was killed (SIGKILL), but not for its memory limit: its node restarted or ran out of "
    "memory, or its grace period was over",
    ExitCode.TERMINATED: "the pod was asked to stop (SIGTERM)",
}
# The reasons that a pod may give in its summary; anything else would be an unbounded label of a metric.
_POD_REASONS: Final = frozenset(
    {INVALID_INPUT, BAD_RECIPE, OUT_OF_MEMORY, DISK_FULL, STORAGE_UNAVAILABLE, conditions.INVALID_SPEC}
)
_EXIT_CODE: Final = re.compile(r"exit code (\d+)")


@dataclass(frozen=True)
class Cause:
    """Why an attempt failed; ``permanent`` if a retry would fail the same way."""

    reason: str
    message: str
    permanent: bool


def conclude(draft: Draft) -> ReconcilePlan | None:
    """End the job with the reason of its child's failure, once the Job controller has given up on it."""
    child = draft.child
    failed, permanent = child.conditions.get("Failed"), _permanent_cause(draft)
    if failed is None:
        return _give_up(draft, permanent) if permanent is not None else None
    if permanent is not None:
        _finish(draft, child, permanent)
        return draft.plan()
    if failed.reason == "DeadlineExceeded":
        if budget.ended_it(draft, child):
            cause = Cause(BUDGET_EXCEEDED, budget.exceeded(draft), permanent=True)
        else:
            cause = Cause(DEADLINE_EXCEEDED, _deadline_message(draft, child), permanent=True)
        _finish(draft, child, cause)
        return draft.plan()
    pod = last_failed(draft.observed.pods)
    if pod is None and not draft.observed.confirmed:
        return ReconcilePlan(confirm=True)
    cause = cause_of(pod, draft.observed.runtime) if pod is not None else _cause_without_pod(failed)
    if pod is not None:
        cause = replace(cause, message=cause.message + _command(draft, pod))
    if failed.reason == "BackoffLimitExceeded" and not cause.permanent:
        tries = child.retries_before + child.failed
        reason = STORAGE_UNAVAILABLE if cause.reason == STORAGE_UNAVAILABLE else RETRIES_EXHAUSTED
        text = (
            f"{tries} attempts failed; the last: {cause.message}" if tries > 1 else f"1 attempt failed: {cause.message}"
        )
        cause = Cause(reason, text, permanent=True)
    _finish(draft, child, cause)
    return draft.plan()


def _command(draft: Draft, pod: PodRecord) -> str:
    """Return the command that replaces keys which an object store refused, as reported by the pod; "" otherwise."""
    summary = parse_summary(pod.terminated.message) if pod.terminated is not None else None
    if summary is None or summary.error is None or CORRECT_KEYS not in summary.error.remedy:
        return ""
    job = draft.observed.job
    command = starting.keys_command(job.namespace, job.spec(), draft.before.stores, summary.error.field)
    return f": {command}" if command else ""


def _permanent_cause(draft: Draft) -> Cause | None:
    """Return why a job is not retried although Kubernetes would: out of memory, or too many interruptions."""
    pod = last_failed(draft.observed.pods)
    if pod is not None and pod.terminated is not None and pod.terminated.reason == "OOMKilled":
        return cause_of(pod, draft.observed.runtime)
    too_often = interruptions.exceeded(draft)
    return Cause(INTERRUPTED_TOO_OFTEN, too_often, permanent=True) if too_often else None


def _give_up(draft: Draft, cause: Cause) -> ReconcilePlan:
    """End the child during its backoff, then the job: a deadline of 1 second ends any Job, queued or not."""
    child = draft.child
    if child.clock != 1:
        draft.patch_child({"activeDeadlineSeconds": 1})
        return draft.plan()
    _finish(draft, child, cause)
    return draft.plan()


def last_failed(pods: tuple[PodRecord, ...]) -> PodRecord | None:
    """Return the newest pod that failed by itself, not by a disruption."""
    failed = [pod for pod in pods if pod.phase == "Failed" and pod.disrupted is None]
    return max(failed, key=lambda pod: (pod.created, pod.version), default=None)


def cause_of(pod: PodRecord, runtime: RuntimeRecord | None) -> Cause:
    """Return why a pod failed, by the kubelet's reason, else by the pod's summary, else by its exit code."""
    end = pod.terminated
    if end is not None and end.reason == "OOMKilled":
        return Cause(OUT_OF_MEMORY, _out_of_memory_message(runtime), permanent=True)
    if pod.reason == "Evicted":
        full = "EmptyDir" in pod.message or "ephemeral" in pod.message
        return Cause(DISK_FULL if full else KILLED, f"the kubelet evicted the pod: {pod.message}", permanent=full)
    if end is None:
        return Cause(RETRIES_EXHAUSTED, pod.message or f"the pod {pod.name} failed: {pod.reason or 'no reason'}", False)
    summary = parse_summary(end.message)
    if summary is not None and summary.error is not None:
        error = summary.error
        reason = error.reason if error.reason in _POD_REASONS else _REASON_OF_CODE.get(end.exit_code, RETRIES_EXHAUSTED)
        return Cause(reason, error.sentence(), end.exit_code in PERMANENT)
    return _cause_of_code(end.exit_code)


def _cause_of_code(code: int) -> Cause:
    text = _TEXT_OF_CODE.get(code, "an unexpected error; see the pod's log")
    return Cause(_REASON_OF_CODE.get(code, RETRIES_EXHAUSTED), f"exit code {code}: {text}", code in PERMANENT)


def _cause_without_pod(failed: ConditionRecord) -> Cause:
    # The pod is gone, but for FailJob the Job controller quotes the exit code in its message.
    match = _EXIT_CODE.search(failed.message)
    if match is None:
        return Cause(RETRIES_EXHAUSTED, failed.message or failed.reason, permanent=False)
    cause = _cause_of_code(int(match[1]))
    return Cause(cause.reason, f"{cause.message} (the pod is gone: {failed.message})", cause.permanent)


def _out_of_memory_message(runtime: RuntimeRecord | None) -> str:
    if runtime is None or runtime.runtime is None:
        return "the pod used more memory than its limit; choose a runtime with a higher one"
    limit = runtime.runtime.spec.resources.limits.get("memory", "none: the node's own memory ran out")
    return (
        f"the pod used more memory than the runtime {runtime.name!r} allows (limits.memory: {limit}); "
        "choose a runtime with more, or a smaller benchmark.batchSize"
    )


def _deadline_message(draft: Draft, child: ChildRecord) -> str:
    job = draft.observed.job
    seconds = child.deadline if job.deadline is None else job.deadline
    written = job.spec().get("deadline", "")
    # The text of the job's spec, unless its runtime set the deadline or a lower limit.
    deadline = written if written and parse_duration(str(written)) == seconds else format_duration(seconds or 0)
    remedy = "run the job again with a longer one, its checkpoints are kept"
    return f"spec.deadline ({deadline}) has passed; {remedy}"


def _finish(draft: Draft, child: ChildRecord, cause: Cause) -> None:
    # The failure that ended the job is not a retry.
    tries = child.retries_before + max(0, child.failed - 1)
    draft.set(retries=max(draft.before.retries, min(tries, draft.observed.job.retries)))
    pod = last_failed(draft.observed.pods)
    summary = parse_summary(pod.terminated.message) if pod is not None and pod.terminated is not None else None
    if summary is not None and summary.space is not None:
        draft.set(space=summary.space)
    stage = (summary.stage if summary is not None else "") or _seen_last(draft)
    draft.set(stage=stage, steps=steps.failed(draft.steps, stage))
    draft.finish("Failed", cause.reason, cause.message)


def _seen_last(draft: Draft) -> str:
    running = (step.title for step in draft.steps if step.state == "Running")
    return draft.before.stage or next(running, "")
