"""How much of its deadline a job has used: one account over all its Jobs, in its status, which never goes back.

Kubernetes counts ``activeDeadlineSeconds`` from the start of a Job, and anew from each resumption, whoever suspended
it. So the child's clock is set to what earlier periods have left, before each period begins or soon after.

A pod that waits for a measuring slot uses nothing: there a period begins when the pod got its node, and the child has
no clock while it waits.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import Plan
from compression_operator.records.annotations import DEADLINE_ANNOTATION, NO_DEADLINE
from compression_operator.records.child import ChildRecord
from compression_operator.records.pod import PodRecord
from compression_operator.records.reading import parse_time
from compressionjob.parts import PUBLISH
from compressionjob.usage import ActiveTime

ROUNDING: Final = 2
"""Seconds by which the clock of a child that found its slot at once may be off: not worth a request."""
PLACING: Final = timedelta(seconds=10)
"""How long after its child's start a pod may be on its way to a slot before the clock is taken away."""

_ENDS: Final = ("Suspended", "Complete", "Failed")
"""Conditions of a Job that end a period."""


def account(draft: Draft) -> Plan | None:
    """Note when a period of activity begins, and how long it was when it has ended."""
    before = draft.before.active_time or _known_to_the_child(draft)
    child, after = draft.observed.child, before
    if _is_over(draft, before, child):
        after = _closed(after, _end_unseen(draft, after, child))
    begin = _begin(draft, after, child) if child is not None and child.start_time else ""
    if child is not None and begin and draft.observed.job.part != PUBLISH:
        if (child.uid, begin) != (after.job, after.since):
            after = after.model_copy(update={"job": child.uid, "since": begin, "ended": False})
        if not _is_active(draft, child):
            after = _closed(after, _end(draft, after, child))
    if after != (draft.before.active_time or ActiveTime()):
        draft.set(active_time=after)
    return None


def keep(draft: Draft) -> Plan | None:
    """Set the clock of the child to what the deadline leaves it; a budget may set it to less."""
    child, job, seconds = draft.child, draft.observed.job, limit(draft)
    limits_cost = job.budget is not None and child.price is not None
    marked = limits_cost or child.owns_clock  # a Job of an older operator is not, and its clock is spec.deadline's
    if child.ended:
        return None
    if left(draft) is None and not limits_cost:
        if child.owns_clock:  # both limits were removed; a clock that somebody else gave a Job is not ours to take
            draft.patch_child({"activeDeadlineSeconds": None}, {DEADLINE_ANNOTATION: None})
        return None
    if _is_set(child, seconds) and (limits_cost or child.clock == child.deadline):
        return None
    clocks = [clock for clock in (child.clock if limits_cost else None, seconds) if clock is not None]
    note: dict[str, str | None] = {DEADLINE_ANNOTATION: NO_DEADLINE if seconds is None else str(seconds)}
    draft.patch_child({"activeDeadlineSeconds": min(clocks, default=None)}, note if marked else None)
    return None


def limit(draft: Draft) -> int | None:
    """Return the seconds after the start of the child at which the deadline ends it; None if nothing does now."""
    seconds, child, period = left(draft), draft.child, draft.active_time
    if seconds is None or is_stopped(draft):
        return None
    if not child.slot or not child.start_time:
        return seconds
    start = parse_time(child.start_time)
    if period.ended or period.job != child.uid:  # no pod has a node: no time passes, and Kubernetes' clock would
        return seconds if draft.now - start <= PLACING else None
    return seconds + max(0, round((parse_time(period.since) - start) / timedelta(seconds=1)))


def is_stopped(draft: Draft) -> bool:
    """Whether the job waits for a measuring slot: its newest pod has no node."""
    newest = _newest_pod(draft)
    return newest is not None and newest.needs_slot


def _is_set(child: ChildRecord, seconds: int | None) -> bool:
    if seconds is None or child.deadline is None or not child.slot:
        return child.deadline == seconds
    return abs(child.deadline - seconds) <= ROUNDING


def left(draft: Draft) -> int | None:
    """Return the seconds that the deadline leaves the present or the next period; None without a deadline.

    A person's time is not the job's: the deadline is over when the verdict is out.
    """
    job = draft.observed.job
    if job.deadline is None or job.part == PUBLISH:
        return None
    return max(1, round(job.deadline - draft.active_time.seconds))


def _is_over(draft: Draft, period: ActiveTime, child: ChildRecord | None) -> bool:
    """Whether the last period is another Job's, or an earlier one of this Job."""
    if child is None or child.uid != period.job:
        return True
    # Kueue takes the start time away while the pod is still ending.
    return not has_pods(draft) if not child.start_time else _begin(draft, period, child) != period.since


def _begin(draft: Draft, period: ActiveTime, child: ChildRecord) -> str:
    """When the present period of a child that has started began; "" while its pod waits for a measuring slot."""
    if not child.slot:
        return child.start_time
    newest, known = _newest_pod(draft), period.since if period.job == child.uid else ""
    if newest is None or (newest.placed and newest.placed < known):  # the pod of this period is gone, others are left
        return known
    return newest.placed


def _newest_pod(draft: Draft) -> PodRecord | None:
    return max(draft.observed.pods, key=lambda pod: (pod.created, pod.version), default=None)


def _is_active(draft: Draft, child: ChildRecord) -> bool:
    # A Job that is being suspended has pods until they have ended; Kubernetes counts those that are ending no more.
    return not child.ended and (not child.suspended or child.active > 0 or has_pods(draft))


def has_pods(draft: Draft) -> bool:
    """Whether a pod of the child has not ended."""
    return any(not pod.over for pod in draft.observed.pods)


def _known_to_the_child(draft: Draft) -> ActiveTime:
    """What an operator before this account has left the child of the deadline."""
    child, deadline = draft.observed.child, draft.observed.job.deadline
    if child is None or child.deadline is None or deadline is None or child.owns_clock:
        return ActiveTime()
    used = max(0, round(deadline - child.deadline))
    if used and child.start_time and child.suspended and not _is_active(draft, child):
        # The clock of a Job that rests was set after its last period: that is in it.
        return ActiveTime(seconds=used, job=child.uid, since=child.start_time, ended=True)
    return ActiveTime(seconds=used)


def _closed(period: ActiveTime, end: datetime) -> ActiveTime:
    if not period.since or period.ended:
        return period
    lasted = max(0, round((end - parse_time(period.since)) / timedelta(seconds=1)))
    return period.model_copy(update={"seconds": period.seconds + lasted, "ended": True})


def _end(draft: Draft, period: ActiveTime, child: ChildRecord) -> datetime:
    """When a period ended, by what the child says of itself."""
    since = parse_time(period.since)
    # Pods of a Job that was suspended run on for a moment.
    return min(draft.now, max([min(_marks(child, since), default=draft.now), *_pod_ends(draft, since)]))


def _end_unseen(draft: Draft, period: ActiveTime, child: ChildRecord | None) -> datetime:
    """When a period ended that nobody saw end: its Job is gone, or begins another; as far as Job or pods tell."""
    if not period.since:
        return draft.now
    since = parse_time(period.since)
    told = _marks(child, since) if child is not None and child.uid == period.job and not child.start_time else []
    until = parse_time(child.start_time) if child is not None and child.start_time else draft.now
    newest = _newest_pod(draft) if child is not None and child.slot and child.uid == period.job else None
    if newest is not None and newest.created >= period.since != newest.placed:  # another pod has come
        return min(draft.now, max(since, parse_time(newest.created)))
    return min(draft.now, max([since, *told, *(end for end in _pod_ends(draft, since) if end <= until)]))


def _marks(child: ChildRecord, since: datetime) -> list[datetime]:
    marks = [child.conditions[kind].time for kind in _ENDS if kind in child.conditions]
    return [time for time in map(parse_time, filter(None, marks)) if time >= since]


def _pod_ends(draft: Draft, since: datetime) -> Iterable[datetime]:
    for pod in draft.usage.pods:
        started = parse_time(pod.started)
        if started >= since:
            yield started + timedelta(seconds=pod.seconds)
