"""Notifications: what receivers can be told of a job, and what its status keeps of each telling."""

from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, Field

from compressionjob.schema import Label, Observed

NotificationEvent = Literal["Accepted", "Started", "AwaitingReview", "Verdict", "Completed", "Failed"]
NOTIFICATION_EVENTS: Final[tuple[NotificationEvent, ...]] = get_args(NotificationEvent)

MAX_RECEIVERS: Final = 8
"""Most receivers of one job."""
MAX_NOTIFICATIONS: Final = 96
"""Most entries in a status: each receiver has one for each event, and some events are still to come."""


def _no_repetition(names: list[str]) -> list[str]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"names {name!r} more than once; name each receiver once")
    return names


ReceiverNames = Annotated[
    list[Label],
    Field(max_length=MAX_RECEIVERS, json_schema_extra={"x-kubernetes-list-type": "set"}),
    AfterValidator(_no_repetition),
]
"""Names of receivers, each once."""


class Notification(Observed):
    """One event that one receiver is to be told. Receiver, event and time make its id."""

    receiver: Annotated[str, Field(max_length=63)] = Field(description="Name of the receiver.")
    # Not only today's events: a status that a later version wrote must still be read.
    event: Annotated[str, Field(max_length=64)] = Field(description="What happened.")
    time: Annotated[str, Field(max_length=40)] = Field(description="When it happened.")
    result: Literal["Delivered", "Dropped"] | None = Field(
        default=None, description="Delivered, or Dropped when it was given up; absent while it is being tried."
    )
    result_time: Annotated[str, Field(max_length=40)] | None = Field(default=None, description="When that was.")
