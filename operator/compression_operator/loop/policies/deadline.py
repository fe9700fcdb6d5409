"""Whether the job will be done in time: its deadline, its pod's forecast, and a warning before it is too late."""

from datetime import datetime, timedelta
from typing import Final

from compression_operator.loop.draft import Draft, timestamp
from compression_operator.loop.plan import Plan
from compression_operator.loop.policies import clock
from compression_operator.records.reading import parse_time
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import CLOCK_STOPPED, DEADLINE_AT_RISK, FORECAST_IN_TIME, FORECAST_LATE
from compressionjob.schema import format_duration

CLEAR_SHARE: Final = 0.05
"""A risk is over when the forecast is earlier than the deadline by this share of the time that is left, not before."""


def watch(draft: Draft) -> Plan | None:
    """State when the deadline passes, when the job expects to be done, and whether that is too late."""
    if clock.is_stopped(draft):
        pause(draft, _after_those_that_wait(draft))
        return None
    passes = _deadline(draft)
    finish = _forecast(draft)
    _tell(draft, passes, finish)
    if passes is not None and finish is not None:
        _judge(draft, passes, finish)
    return None


def pause(draft: Draft, finish: datetime | None = None) -> None:
    """A job that is held, or waits for a slot or a person, has no deadline that passes, and seldom a forecast."""
    _tell(draft, None, finish)
    old = draft.condition(DEADLINE_AT_RISK)
    if old is not None and old.status == "True":
        draft.set_condition(DEADLINE_AT_RISK, "False", CLOCK_STOPPED, "no time passes of the deadline now")


def _deadline(draft: Draft) -> datetime | None:
    child, seconds = draft.child, clock.limit(draft)
    if seconds is None or not child.start_time or child.suspended:
        return None
    return parse_time(child.start_time) + timedelta(seconds=seconds)


def _forecast(draft: Draft) -> datetime | None:
    """What the running pod told, as long as it is not past: then it was wrong, and there is no other yet."""
    finish = draft.observed.finish
    if finish is None or finish <= draft.now:
        return None
    draft.look_again((finish - draft.now).total_seconds() + 1)
    return finish


def _after_those_that_wait(draft: Draft) -> datetime | None:
    """When all jobs that wait for a slot now are done, one after the other; their order is not known."""
    each = draft.observed.slot_seconds
    if each is None or not any(pod.waits_for_slot for pod in draft.observed.pods):
        return None
    return draft.now + timedelta(seconds=each * max(1, draft.observed.waiting_for_slot))


def _tell(draft: Draft, passes: datetime | None, finish: datetime | None) -> None:
    before = draft.before
    draft.set(deadline_time=None if passes is None else timestamp(passes))
    told = None if finish is None else timestamp(finish)
    if (told is None) != (before.expected_completion_time is None):
        draft.set(expected_completion_time=told)
    else:
        draft.accompany(expected_completion_time=told)


def _judge(draft: Draft, passes: datetime, finish: datetime) -> None:
    old = draft.condition(DEADLINE_AT_RISK)
    at_risk = old is not None and old.status == "True"
    margin = CLEAR_SHARE * max(passes - draft.now, timedelta()) if at_risk else timedelta()
    late = finish > passes - margin
    if old is not None and late == at_risk:
        return  # the figures in the message are those of the change
    if not late:
        text = f"expected at {timestamp(finish)}, before the deadline at {timestamp(passes)}"
        draft.set_condition(DEADLINE_AT_RISK, "False", FORECAST_IN_TIME, text)
        return
    by = format_duration(max(1.0, (finish - passes).total_seconds()))
    text = (
        f"expected at {timestamp(finish)}, {by} after the deadline at {timestamp(passes)}; raise spec.deadline, or the "
        "job fails then and keeps its checkpoints"
    )
    draft.set_condition(DEADLINE_AT_RISK, "True", FORECAST_LATE, text)
    draft.note("Warning", event_reasons.DEADLINE_AT_RISK, text)
