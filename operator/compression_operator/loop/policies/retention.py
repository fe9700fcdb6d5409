"""Remove files of an ended job when their lifetime has passed, by a Job of the part Clean, before the job expires."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from compression_operator.child.cleaning import cleaning_job
from compression_operator.child.manifest import manifest_of
from compression_operator.loop.draft import Draft, timestamp
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.policies import store_access
from compression_operator.loop.refusal import other_job
from compression_operator.records.child import ChildRecord
from compression_operator.records.job import JobRecord
from compression_operator.records.reading import parse_time
from compression_operator.records.runtime import RuntimeRecord
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import CLEANED_UP, FILES_REMOVED, REMOVAL_FAILED, REMOVAL_WAITS
from compressionjob.errors import InvalidSpec
from compressionjob.report import Summary, parse_summary
from compressionjob.retention import CHECKPOINTS, Retained, Retention, RetentionStatus, lifetimes
from compressionjob.spec import parse_job
from compressionjob.status import ChildReference

MAX_ATTEMPTS: Final = 6
FIRST_DELAY: Final = 3600.0
"""Seconds until a failed removal is retried; each further delay is twice as long."""
REQUEUE: Final = 300.0
"""Seconds until the next reconcile of a removal that waits."""
SHARED_GRACE_PERIOD: Final = timedelta(days=7)
"""How long checkpoints outlive their lifetime while other jobs share the folder. After that, those that no job has
registered (``pipeline.checkpoint_users`` of the runner) are removed: a folder in constant use must not grow without
end."""
START_TIMEOUT: Final = timedelta(hours=1)
"""How long the Job may be suspended, for example by a queue that manages Jobs without a label."""
WAITING_TIMEOUT: Final = timedelta(days=7)
"""How long a removal may wait for its runtime, its pod or the destination."""


def lifetimes_of(job: JobRecord, runtime: RuntimeRecord | None) -> RetentionStatus | None:
    """Return the lifetimes of a job's files at the creation of its first Job; None if all are kept."""
    if runtime is None or runtime.runtime is None:
        return None
    wanted = job.spec().get("retention")
    chosen = lifetimes(Retention.model_validate(wanted) if wanted else None, runtime.runtime.spec.retention)
    return RetentionStatus.model_validate(chosen) if chosen else None


def clean(draft: Draft) -> ReconcilePlan | None:
    """Remove files of an ended job whose lifetime has passed; requeue the job for the next lifetime."""
    state = draft.before.retention
    if not draft.observed.job.ended or state is None or not any(state.pending()):
        return None
    if state.cleaning:
        return _follow(draft, state)
    due = _due(draft, state)
    if not due:
        return None
    draft.set(child_job=None, retention=state.model_copy(update={"cleaning": due}))
    draft.requeue_after(0)
    return draft.plan()


def keeps(draft: Draft) -> bool:
    """Return whether files of the job must still be removed, before the job is deleted."""
    state = draft.before.retention
    return state is not None and any(state.pending())


def _due(draft: Draft, state: RetentionStatus) -> list[Retained]:
    """Return the kinds of files that can be removed now."""
    ended = parse_time(draft.before.completion_time or timestamp(draft.now))
    since = {kind: ended + timedelta(seconds=lifetime) for kind, lifetime in state.pending()}
    if state.last_attempt_time and state.attempts:
        again = parse_time(state.last_attempt_time) + timedelta(seconds=FIRST_DELAY * 2 ** (state.attempts - 1))
        since = {kind: max(time, again) if _failed(draft) else time for kind, time in since.items()}
    for time in since.values():
        if time > draft.now:
            draft.requeue_after((time - draft.now).total_seconds())
    due = [kind for kind, time in since.items() if time <= draft.now]
    user = draft.observed.checkpoint_user
    if user and CHECKPOINTS in due and draft.now - since[CHECKPOINTS] < SHARED_GRACE_PERIOD:
        other = other_job(draft, user.partition("/")[0], user)
        _wait(draft, f"spec.output.checkpoints: {other} shares the folder and has not ended")
        due.remove(CHECKPOINTS)
    return due


def _failed(draft: Draft) -> bool:
    """Return whether the last Job of the part Clean failed."""
    condition = draft.condition(CLEANED_UP)
    return condition is not None and condition.reason == REMOVAL_FAILED


def _follow(draft: Draft, state: RetentionStatus) -> ReconcilePlan:
    """Follow the present Job of the part Clean to its end."""
    child, known = draft.observed.child, draft.before.child_job
    if child is None:
        return _start(draft, state)
    if known is None or known.uid != child.uid:
        draft.set(child_job=ChildReference(name=child.name, uid=child.uid))
        draft.set(children_created=draft.before.children_created + 1)
    if "Complete" in child.conditions:
        _conclude(draft, state, _summary(draft))
    elif "Failed" in child.conditions:
        _fail(draft, state, _why(draft, child))
    elif _is_stuck(draft, state, child):
        # After the end of the attempt the Job must not start any more.
        return replace(draft.plan(), delete_child=child)
    else:
        draft.requeue_after(REQUEUE)
    return draft.plan()


def _is_stuck(draft: Draft, state: RetentionStatus, child: ChildRecord) -> bool:
    """End this attempt if its Job does not start or does not end; return whether it did."""
    if child.suspended and draft.now >= parse_time(child.created) + START_TIMEOUT:
        hours = START_TIMEOUT // timedelta(hours=1)
        why = f"the Job {child.name} was suspended for {hours} h, perhaps by a queue, and did not start; it is deleted"
        _fail(draft, state, why)
        return True
    return _abandon(draft, state, f"the Job {child.name} does not end", since=child.created)


def _start(draft: Draft, state: RetentionStatus) -> ReconcilePlan:
    """Create the Job of the part Clean, or state the obstacle."""
    observed, before = draft.observed, draft.before
    if observed.stranger is not None:
        return ReconcilePlan(delete_child=observed.stranger)
    if before.child_job is not None:
        if not observed.confirmed:
            return ReconcilePlan(confirm=True)
        _fail(draft, state, f"the Job {before.child_job.name} was deleted before its end")
        return draft.plan()
    obstacle = _obstacle(draft)
    if not obstacle and observed.runtime is not None and observed.runtime.runtime is not None:
        try:
            spec = parse_job(manifest_of(observed.job)).spec
        except InvalidSpec as error:
            obstacle = str(error)
        else:
            obstacle = store_access.obstacle(draft, spec)
            if not obstacle:
                runtime, stores = observed.runtime.runtime.spec, store_access.resolved(draft, spec)
                jobs = observed.known_jobs
                return ReconcilePlan(
                    create=cleaning_job(observed.job, spec, runtime, state.cleaning, stores, known_jobs=jobs)
                )
    _wait(draft, obstacle)
    _abandon(draft, state, obstacle)
    return draft.plan()


def _obstacle(draft: Draft) -> str:
    """Return the obstacle that keeps the Job from starting; "" for none."""
    observed = draft.observed
    if observed.foreign_child is not None:
        return f"a Job {observed.foreign_child.name} exists and belongs to something else: delete it"
    if observed.refusal is not None:
        return f"the API server refused the Job: {observed.refusal.message}"
    if observed.blocker is not None:
        return f"pods of {other_job(draft, observed.blocker.namespace, observed.blocker.job)} may write there"
    if observed.runtime is None or observed.runtime.runtime is None:
        return f"the CompressionRuntime {observed.job.present_runtime!r} is missing or not valid"
    return ""


def _conclude(draft: Draft, state: RetentionStatus, summary: Summary | None) -> None:
    kinds = list(state.cleaning)
    cleaned = [*state.cleaned, *kinds]
    _end_attempt(draft, state, cleaned=cleaned)
    text = f"removed: {_named(kinds)}"
    if summary is not None and summary.space is not None:
        draft.set(space=summary.space)
        kept = summary.space.checkpoint_bytes if CHECKPOINTS in kinds else 0
        text += f"; {kept} bytes of checkpoints are kept for other jobs that use them" if kept else ""
    draft.set_condition(CLEANED_UP, "True", FILES_REMOVED, text)
    draft.note("Normal", event_reasons.FILES_REMOVED, text)


def _fail(draft: Draft, state: RetentionStatus, why: str) -> None:
    given_up = state.attempts + 1 >= MAX_ATTEMPTS
    _end_attempt(draft, state, given_up=given_up)
    end = "it is not tried again: remove them by hand" if given_up else "it is tried again"
    text = f"removal of {_named(state.cleaning)} failed: {why}; {end}"
    draft.set_condition(CLEANED_UP, "False", REMOVAL_FAILED, text)
    draft.note("Warning", event_reasons.REMOVAL_FAILED, text)


def _abandon(draft: Draft, state: RetentionStatus, why: str, *, since: str = "") -> bool:
    """Give up a removal that has waited too long, or whose Job has run too long ``since``; return whether it did."""
    ended = parse_time(draft.before.completion_time or timestamp(draft.now))
    longest = max((lifetime for kind, lifetime in state.pending() if kind in state.cleaning), default=0.0)
    shared = SHARED_GRACE_PERIOD if CHECKPOINTS in state.cleaning else timedelta()
    begun = parse_time(since) if since else ended + timedelta(seconds=longest) + shared
    if draft.now < begun + WAITING_TIMEOUT:
        return False
    _fail(draft, state.model_copy(update={"attempts": MAX_ATTEMPTS - 1}), why)
    return True


def _end_attempt(draft: Draft, state: RetentionStatus, **changes: object) -> None:
    done = {"cleaning": [], "attempts": state.attempts + 1, "last_attempt_time": timestamp(draft.now)}
    draft.set(retention=state.model_copy(update=done | changes))
    draft.requeue_after(0)


def _wait(draft: Draft, why: str) -> None:
    text = f"files whose lifetime is over are not removed yet: {why}"
    draft.set_condition(CLEANED_UP, "False", REMOVAL_WAITS, text)
    draft.requeue_after(REQUEUE)


def _summary(draft: Draft) -> Summary | None:
    ends = (pod.terminated for pod in draft.observed.pods if pod.phase == "Succeeded")
    return next((parse_summary(end.message) for end in ends if end is not None), None)


def _why(draft: Draft, child: ChildRecord) -> str:
    """Return the error of the last pod, else the message of the Job controller."""
    ends = [pod.terminated for pod in draft.observed.pods if pod.terminated is not None]
    summaries = [summary for end in ends if (summary := parse_summary(end.message)) is not None]
    error = next((summary.error.sentence() for summary in reversed(summaries) if summary.error is not None), "")
    return error or child.conditions["Failed"].message or child.conditions["Failed"].reason


def _named(kinds: Iterable[Retained]) -> str:
    return " and ".join(kinds)
