"""The forecast of a job against its deadline, with a warning before the deadline passes."""

from datetime import datetime, timedelta
from typing import Final

from compression_operator.loop.draft import Draft, timestamp
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.loop.policies import deadline
from compression_operator.records.reading import parse_time
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import CLOCK_STOPPED, DEADLINE_AT_RISK, FORECAST_IN_TIME, FORECAST_LATE
from compressionjob.field_types import format_duration

CLEAR_SHARE: Final = 0.05
"""A risk ends only when the forecast is earlier than the deadline by this share of the remaining time."""


def watch(draft: Draft) -> ReconcilePlan | None:
    """State the deadline, the expected completion, and whether the deadline is at risk."""
    if deadline.is_stopped(draft):
        pause(draft, _end_of_slot_queue(draft))
        return None
    passes = _deadline(draft)
    finish = _forecast(draft)
    _set_times(draft, passes, finish)
    if passes is not None and finish is not None:
        _judge(draft, passes, finish)
    return None


def pause(draft: Draft, finish: datetime | None = None) -> None:
    """Pause the deadline of a job that is suspended, or waits for a slot or a review."""
    _set_times(draft, None, finish)
    old = draft.condition(DEADLINE_AT_RISK)
    if old is not None and old.status == "True":
        draft.set_condition(DEADLINE_AT_RISK, "False", CLOCK_STOPPED, "no time passes of the deadline now")


def _deadline(draft: Draft) -> datetime | None:
    child, seconds = draft.child, deadline.limit(draft)
    if seconds is None or not child.start_time or child.suspended:
        return None
    return parse_time(child.start_time) + timedelta(seconds=seconds)


def _forecast(draft: Draft) -> datetime | None:
    """Return the forecast of the running pod; None if it is in the past, and therefore wrong."""
    finish = draft.observed.finish
    if finish is None or finish <= draft.now:
        return None
    draft.requeue_after((finish - draft.now).total_seconds() + 1)
    return finish


def _end_of_slot_queue(draft: Draft) -> datetime | None:
    """Return when all jobs that wait for a slot are done, one after the other; their order is unknown."""
    each = draft.observed.slot_seconds
    if each is None or not any(pod.waits_for_slot for pod in draft.observed.pods):
        return None
    return draft.now + timedelta(seconds=each * max(1, draft.observed.waiting_for_slot))


def _set_times(draft: Draft, passes: datetime | None, finish: datetime | None) -> None:
    before = draft.before
    draft.set(deadline_time=None if passes is None else timestamp(passes))
    expected = None if finish is None else timestamp(finish)
    if (expected is None) != (before.expected_completion_time is None):
        draft.set(expected_completion_time=expected)
    else:
        draft.accompany(expected_completion_time=expected)


def _judge(draft: Draft, passes: datetime, finish: datetime) -> None:
    old = draft.condition(DEADLINE_AT_RISK)
    at_risk = old is not None and old.status == "True"
    margin = CLEAR_SHARE * max(passes - draft.now, timedelta()) if at_risk else timedelta()
    late = finish > passes - margin
    if old is not None and late == at_risk:
        return  # the message keeps the figures of the last transition
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
