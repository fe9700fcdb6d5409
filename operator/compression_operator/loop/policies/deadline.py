"""The time that a job has used of its deadline: one sum over all its Jobs, in its status, which never decreases.

Kubernetes counts ``activeDeadlineSeconds`` from the start of a Job, and starts again at each resumption. So the child's
clock is set to the time that earlier periods have left, before each period begins or soon after.

A pod that waits for a measuring slot uses no time: its period begins when the pod gets its node, and the child has no
clock while it waits.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.records.annotations import DEADLINE_ANNOTATION, NO_DEADLINE
from compression_operator.records.child import ChildRecord
from compression_operator.records.pod import PodRecord
from compression_operator.records.reading import parse_time
from compressionjob.job_parts import PUBLISH
from compressionjob.usage import ActiveTime

ROUNDING: Final = 2
"""Tolerance in seconds of the clock of a child that got its slot at once: a smaller difference needs no request."""
PLACING: Final = timedelta(seconds=10)
"""How long a pod may take to get a slot after the start of its child before the clock is removed."""

_ENDS: Final = ("Suspended", "Complete", "Failed")
"""Conditions of a Job that end a period."""


def account(draft: Draft) -> ReconcilePlan | None:
    """Record the begin of a period of activity, and its length after its end."""
    before = draft.before.active_time or _used_by_child(draft)
    child, after = draft.observed.child, before
    if _has_ended(draft, before, child):
        after = _closed(after, _unobserved_end(draft, after, child))
    begin = _begin(draft, after, child) if child is not None and child.start_time else ""
    if child is not None and begin and draft.observed.job.part != PUBLISH:
        if (child.uid, begin) != (after.job, after.since):
            after = after.model_copy(update={"job": child.uid, "since": begin, "ended": False})
        if not _is_active(draft, child):
            after = _closed(after, _end(draft, after, child))
    # What an older operator's child says is written at once: it says something else when the deadline is raised.
    if after != (draft.before.active_time or ActiveTime()) or (draft.before.active_time is None and _is_older(draft)):
        draft.set(active_time=after)
    return None


def keep(draft: Draft) -> ReconcilePlan | None:
    """Set the clock of the child to the rest of the deadline; a budget may set it to less."""
    child, job, seconds = draft.child, draft.observed.job, limit(draft)
    limits_cost = job.budget is not None and child.price is not None
    annotated = limits_cost or child.owns_clock  # a Job of an older operator has no annotation, only spec.deadline
    if child.ended:
        return None
    if left(draft) is None and not limits_cost:
        if child.owns_clock:  # both limits were removed; a clock that another writer set stays
            draft.patch_child({"activeDeadlineSeconds": None}, {DEADLINE_ANNOTATION: None})
        return None
    if _is_set(child, seconds) and (limits_cost or child.clock == child.deadline):
        return None
    clocks = [clock for clock in (child.clock if limits_cost else None, seconds) if clock is not None]
    note: dict[str, str | None] = {DEADLINE_ANNOTATION: NO_DEADLINE if seconds is None else str(seconds)}
    draft.patch_child({"activeDeadlineSeconds": min(clocks, default=None)}, note if annotated else None)
    return None


def limit(draft: Draft) -> int | None:
    """Return the seconds from the start of the child to its deadline; None while no deadline applies."""
    seconds, child, period = left(draft), draft.child, draft.active_time
    if seconds is None or is_stopped(draft):
        return None
    if not child.slot or not child.start_time:
        return seconds
    start = parse_time(child.start_time)
    if period.ended or period.job != child.uid:  # no pod has a node: stop Kubernetes' clock
        return seconds if draft.now - start <= PLACING else None
    return seconds + max(0, round((parse_time(period.since) - start) / timedelta(seconds=1)))


def is_stopped(draft: Draft) -> bool:
    """Return whether the deadline is paused: the newest pod waits for a measuring slot."""
    newest = _newest_pod(draft)
    return newest is not None and newest.needs_slot


def _is_set(child: ChildRecord, seconds: int | None) -> bool:
    if seconds is None or child.deadline is None or not child.slot:
        return child.deadline == seconds
    return abs(child.deadline - seconds) <= ROUNDING


def left(draft: Draft) -> int | None:
    """Return the seconds of the deadline that are left for the present or the next period; None without a deadline.

    The deadline ends with the verdict: the time of a reviewer does not count.
    """
    job = draft.observed.job
    if job.deadline is None or job.part == PUBLISH:
        return None
    return max(1, round(job.deadline - draft.active_time.seconds))


def _has_ended(draft: Draft, period: ActiveTime, child: ChildRecord | None) -> bool:
    """Return whether the recorded period belongs to another Job, or to an earlier run of this Job."""
    if child is None or child.uid != period.job:
        return True
    # Kueue removes the start time while the pod is still ending.
    return not has_pods(draft) if not child.start_time else _begin(draft, period, child) != period.since


def _begin(draft: Draft, period: ActiveTime, child: ChildRecord) -> str:
    """Return the begin of the present period of a started child; "" while its pod waits for a measuring slot."""
    if not child.slot:
        return child.start_time
    newest, known = _newest_pod(draft), period.since if period.job == child.uid else ""
    if newest is None or (newest.placed and newest.placed < known):  # the pod of this period is gone
        return known
    return newest.placed


def _newest_pod(draft: Draft) -> PodRecord | None:
    return max(draft.observed.pods, key=lambda pod: (pod.created, pod.version), default=None)


def _is_active(draft: Draft, child: ChildRecord) -> bool:
    # A Job that is being suspended has pods until they have ended; Kubernetes does not count terminating pods.
    return not child.ended and (not child.suspended or child.active > 0 or has_pods(draft))


def has_pods(draft: Draft) -> bool:
    """Return whether a pod of the child has not ended."""
    return any(not pod.over for pod in draft.observed.pods)


def _used_by_child(draft: Draft) -> ActiveTime:
    """Return the used time of a child that was created by an operator without this account."""
    child, deadline = draft.observed.child, draft.observed.job.deadline
    if child is None or child.deadline is None or deadline is None or not _is_older(draft):
        return ActiveTime()
    if not draft.started and not child.start_time:  # no pod has run: the deadline was raised meanwhile
        return ActiveTime()
    used = max(0, round(deadline - child.deadline))
    if used and child.start_time and child.suspended and not _is_active(draft, child):
        # The clock of a suspended Job was set after its last period, which it includes.
        return ActiveTime(seconds=used, job=child.uid, since=child.start_time, ended=True)
    return ActiveTime(seconds=used)


def _is_older(draft: Draft) -> bool:
    """Whether the child has a clock for the deadline that an operator before this account has set."""
    child, deadline = draft.observed.child, draft.observed.job.deadline
    return child is not None and child.deadline is not None and deadline is not None and not child.owns_clock


def _closed(period: ActiveTime, end: datetime) -> ActiveTime:
    if not period.since or period.ended:
        return period
    lasted = max(0, round((end - parse_time(period.since)) / timedelta(seconds=1)))
    return period.model_copy(update={"seconds": period.seconds + lasted, "ended": True})


def _end(draft: Draft, period: ActiveTime, child: ChildRecord) -> datetime:
    """Return the end of a period, by the conditions of the child."""
    since = parse_time(period.since)
    # Pods of a suspended Job run on for a moment.
    return min(draft.now, max([min(_condition_times(child, since), default=draft.now), *_pod_ends(draft, since)]))


def _unobserved_end(draft: Draft, period: ActiveTime, child: ChildRecord | None) -> datetime:
    """Return the best estimate for the end of a period that no reconcile observed, by its Job and pods."""
    if not period.since:
        return draft.now
    since = parse_time(period.since)
    ended = child is not None and child.uid == period.job and not child.start_time
    times = _condition_times(child, since) if child is not None and ended else []
    until = parse_time(child.start_time) if child is not None and child.start_time else draft.now
    newest = _newest_pod(draft) if child is not None and child.slot and child.uid == period.job else None
    if newest is not None and newest.created >= period.since != newest.placed:  # a newer pod exists
        return min(draft.now, max(since, parse_time(newest.created)))
    return min(draft.now, max([since, *times, *(end for end in _pod_ends(draft, since) if end <= until)]))


def _condition_times(child: ChildRecord, since: datetime) -> list[datetime]:
    marks = [child.conditions[kind].time for kind in _ENDS if kind in child.conditions]
    return [time for time in map(parse_time, filter(None, marks)) if time >= since]


def _pod_ends(draft: Draft, since: datetime) -> Iterable[datetime]:
    for pod in draft.usage.pods:
        started = parse_time(pod.started)
        if started >= since:
            yield started + timedelta(seconds=pod.seconds)
