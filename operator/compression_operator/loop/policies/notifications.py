"""Receivers in the status: the chosen names that do not exist, and the outcomes of notifications.

Nothing here delays a job: an unknown name is reported, and the job continues.
"""

from compression_operator.loop.draft import Draft, timestamp
from compression_operator.loop.plan import ReconcilePlan
from compression_operator.telemetry import event_reasons
from compressionjob.conditions import ALL_FOUND, RECEIVER_NOT_FOUND, RECEIVERS_FOUND


def check(draft: Draft) -> ReconcilePlan | None:
    """Name the receivers in spec.notifications that do not exist."""
    chosen, known = draft.observed.job.receivers, draft.observed.receivers
    old = draft.condition(RECEIVERS_FOUND)
    if not chosen and old is None:
        return None
    missing = [f"spec.notifications[{index}]: {name!r}" for index, name in enumerate(chosen) if name not in known]
    if not missing:
        draft.set_condition(RECEIVERS_FOUND, "True", ALL_FOUND, "every receiver in spec.notifications exists")
        return None
    message = (
        f"{', '.join(missing)}: there is no such receiver, so it gets no notifications; the job continues. Name one of "
        f"the platform team's ({', '.join(sorted(known)) or 'there are none'}), or ask them to add it"
    )
    if old is None or old.status == "True":
        draft.note("Warning", event_reasons.RECEIVER_NOT_FOUND, message)
    draft.set_condition(RECEIVERS_FOUND, "False", RECEIVER_NOT_FOUND, message)
    return None


def settle(draft: Draft) -> ReconcilePlan | None:
    """Record which notifications were delivered or dropped."""
    ends = {item.key: item for item in draft.observed.deliveries}
    if not ends:
        return None
    settled = []
    for entry in draft.notifications:
        end = ends.get((entry.receiver, entry.event, entry.time)) if entry.result is None else None
        if end is not None:
            entry = entry.model_copy(update={"result": end.result, "result_time": timestamp(end.time)})
            if end.result == "Dropped":
                draft.note("Warning", event_reasons.NOTIFICATION_DROPPED, end.text)
        settled.append(entry)
    draft.set(notifications=settled)
    return None


def unsettled(draft: Draft) -> bool:
    """Return whether a notification to an existing receiver is still pending."""
    known = draft.observed.receivers
    return any(entry.result is None and entry.receiver in known for entry in draft.notifications)
