"""Job events that receivers get: what a new status says and the old one did not.

The news is written into the status by the same write as what it tells of: so neither a restart nor another leader can
lose it, and its time, hence its id, is fixed once.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from compression_operator.records.delivery import Subscriptions
from compressionjob.conditions import ACCEPTED, AWAITING_REVIEW, COMPLETE, FAILED, REVIEWED
from compressionjob.notifications import MAX_NOTIFICATIONS, Notification, NotificationEvent
from compressionjob.status import CompressionJobStatus


def news(
    before: CompressionJobStatus,
    after: CompressionJobStatus,
    *,
    chosen: Iterable[str],
    subscriptions: Subscriptions,
    time: str,
) -> list[Notification]:
    """The notifications of ``after``: those that it has, and those of what has happened since ``before``.

    One entry for each receiver and event: what happens again takes the place of what happened before.
    """
    wanted = [name for name in chosen if name in subscriptions]
    if not wanted:
        return after.notifications
    happened = [event for event, holds in _HOLDS.items() if holds(after) and not holds(before)]
    added = {
        (name, event): Notification(receiver=name, event=event, time=time)
        for name in wanted
        for event in happened
        if event in subscriptions[name]
    }
    kept = [item for item in after.notifications if (item.receiver, item.event) not in added]
    return [*kept, *added.values()][-MAX_NOTIFICATIONS:]


def _condition(kind: str, status: str, reason: str | None = None) -> Callable[[CompressionJobStatus], bool]:
    def holds(job: CompressionJobStatus) -> bool:
        found = next((item for item in job.conditions if item.type == kind), None)
        return found is not None and found.status == status and reason in (None, found.reason)

    return holds


_HOLDS: Final[Mapping[NotificationEvent, Callable[[CompressionJobStatus], bool]]] = {
    "Accepted": _condition(ACCEPTED, "True"),
    # A pod that ended before anybody looked had started all the same.
    "Started": lambda job: job.start_time is not None or job.verdict is not None,
    "Verdict": lambda job: job.verdict is not None,
    "AwaitingReview": _condition(REVIEWED, "Unknown", AWAITING_REVIEW),
    "Completed": _condition(COMPLETE, "True"),
    "Failed": _condition(FAILED, "True"),
}
"""When each event has happened; in the order in which a job comes to them."""
