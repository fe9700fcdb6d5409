"""Usage and cost of the job's pods: computed from the observed pods, kept in the status, never decreasing."""

from datetime import datetime, timedelta
from typing import Final

from compression_operator.loop.draft import Draft
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.records.pod import PodRecord
from compression_operator.records.reading import parse_time
from compressionjob.cost import format_cost
from compressionjob.usage import MAX_PODS, EarlierUsage, PodUsage, Usage

REFRESH: Final = timedelta(minutes=10)
"""Interval of status writes for the time of a running pod: at most this much is lost if a pod vanishes."""


def account(draft: Draft) -> ReconcilePlan | None:
    """Record how long each pod has run; each pod counts once, after any number of reconciles."""
    before = draft.before.usage or Usage()
    known = {entry.uid: entry for entry in before.pods}
    seen = [pod for pod in draft.observed.pods if pod.started and _is_uncounted(pod, before)]
    gone = [entry for entry in before.pods if not entry.ended and entry.uid not in {pod.uid for pod in seen}]
    known |= {pod.uid: _counted(draft, pod, known.get(pod.uid)) for pod in seen}
    known |= {entry.uid: _ran_until(entry, _end_of_vanished(draft, entry), ended=True) for entry in gone}
    usage = _sum_up(before, sorted(known.values(), key=lambda entry: entry.started))
    if not usage.pods:
        return None
    cost = usage.cost
    fields = {"usage": usage, "cost": None if cost is None else format_cost(cost)}
    if _shape(usage) != _shape(before) or usage.seconds - before.seconds >= REFRESH.total_seconds():
        draft.set(**fields)
    else:
        draft.accompany(**fields)
    if usage.running:
        draft.requeue_after(REFRESH.total_seconds())
    return None


def _is_uncounted(pod: PodRecord, before: Usage) -> bool:
    # Pods of a job run one after the other, so the earliest ones are those that were added up.
    return any(pod.uid == entry.uid for entry in before.pods) or pod.started > before.earlier_until


def _counted(draft: Draft, pod: PodRecord, entry: PodUsage | None) -> PodUsage:
    if entry is None:
        entry = PodUsage(
            pod=pod.name,
            uid=pod.uid,
            part=pod.part,
            runtime=pod.runtime or draft.observed.job.present_runtime,
            price_per_hour=pod.price,
            started=pod.started,
        )
    if pod.terminated is not None and pod.terminated.finished:
        return _ran_until(entry, parse_time(pod.terminated.finished), ended=True)
    if pod.over:
        return entry if entry.ended else _ran_until(entry, _end_of_vanished(draft, entry), ended=True)
    return _ran_until(entry, draft.now, ended=False)


def _ran_until(entry: PodUsage, end: datetime, *, ended: bool) -> PodUsage:
    seconds = int((end - parse_time(entry.started)) / timedelta(seconds=1))
    return entry.model_copy(update={"seconds": max(entry.seconds, seconds), "ended": ended})


def _end_of_vanished(draft: Draft, entry: PodUsage) -> datetime:
    """Return the latest possible end of a pod whose end no reconcile observed.

    The next pod starts, and the Job ends, only after the end of the pod. Without either of them, the pod ended soon
    after it was last seen, or while no operator ran.
    """
    observed, started = draft.observed, parse_time(entry.started)
    marks = [pod.created for pod in observed.pods if pod.uid != entry.uid]
    if observed.child is not None:
        conditions = observed.child.conditions
        marks += [observed.child.created]
        marks += [conditions[kind].time for kind in ("Complete", "Failed", "Suspended") if kind in conditions]
    later = [time for time in (parse_time(mark) for mark in marks if mark) if time > started]
    return min(draft.now, *later) if later else min(draft.now, _last_seen(entry) + REFRESH)


def _last_seen(entry: PodUsage) -> datetime:
    return parse_time(entry.started) + timedelta(seconds=entry.seconds)


def _sum_up(before: Usage, entries: list[PodUsage]) -> Usage:
    earlier, until = {item.runtime: item for item in before.earlier}, before.earlier_until
    while len(entries) > MAX_PODS and entries[0].ended:
        oldest = entries.pop(0)
        earlier[oldest.runtime] = _added(earlier.get(oldest.runtime), oldest)
        until = max(until, oldest.started)
    seconds = sum(item.seconds for item in earlier.values()) + sum(entry.seconds for entry in entries)
    return Usage(seconds=seconds, pods=entries, earlier=list(earlier.values()), earlier_until=until)


def _added(sum_: EarlierUsage | None, entry: PodUsage) -> EarlierUsage:
    if sum_ is None:
        return EarlierUsage(runtime=entry.runtime, pods=1, seconds=entry.seconds, cost=entry.cost)
    costs = [cost for cost in (sum_.cost, entry.cost) if cost is not None]
    return EarlierUsage(
        runtime=sum_.runtime,
        pods=sum_.pods + 1,
        seconds=sum_.seconds + entry.seconds,
        cost=sum(costs) if costs else None,
    )


def _shape(usage: Usage) -> list[tuple[str, bool]]:
    return [(entry.uid, entry.ended) for entry in usage.pods]
