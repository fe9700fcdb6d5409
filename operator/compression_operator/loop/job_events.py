"""Job events for receivers: the changes from the old status of a job to the new one.

Each notification is written into the status together with its change. So neither a restart nor a new leader can lose
it, and its time, hence its id, never changes.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from compression_operator.records.delivery import Subscriptions
from compressionjob.conditions import ACCEPTED, AWAITING_REVIEW, COMPLETE, FAILED, REVIEWED
from compressionjob.notifications import MAX_NOTIFICATIONS, Notification, NotificationEvent
from compressionjob.status import CompressionJobStatus


def updated_notifications(
    before: CompressionJobStatus,
    after: CompressionJobStatus,
    *,
    chosen: Iterable[str],
    subscriptions: Subscriptions,
    time: str,
) -> list[Notification]:
    """Return the notifications of ``after``, and new ones for the events since ``before``.

    One entry for each receiver and event: a repeated event replaces the earlier one.
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
        condition = next((item for item in job.conditions if item.type == kind), None)
        return condition is not None and condition.status == status and reason in (None, condition.reason)

    return holds


_HOLDS: Final[Mapping[NotificationEvent, Callable[[CompressionJobStatus], bool]]] = {
    "Accepted": _condition(ACCEPTED, "True"),
    # A verdict implies a start, even if no reconcile saw the pod running.
    "Started": lambda job: job.start_time is not None or job.verdict is not None,
    "Verdict": lambda job: job.verdict is not None,
    "AwaitingReview": _condition(REVIEWED, "Unknown", AWAITING_REVIEW),
    "Completed": _condition(COMPLETE, "True"),
    "Failed": _condition(FAILED, "True"),
}
"""The test for each event, in the order in which they happen to a job."""
