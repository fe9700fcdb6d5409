"""Notifications: the events of a job that receivers get, and their records in its status."""

from typing import Annotated, Final, Literal, get_args

from pydantic import AfterValidator, Field

from compressionjob.field_types import Label, TolerantSchema

NotificationEvent = Literal["Accepted", "Started", "AwaitingReview", "Verdict", "Completed", "Failed"]
NOTIFICATION_EVENTS: Final[tuple[NotificationEvent, ...]] = get_args(NotificationEvent)

MAX_RECEIVERS: Final = 8
"""Largest number of receivers of a job."""
MAX_NOTIFICATIONS: Final = 96
"""Largest number of entries in a status: one for each receiver and event, with room for new events."""


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


class Notification(TolerantSchema):
    """One event for one receiver. Receiver, event and time identify it."""

    receiver: Annotated[str, Field(max_length=63)] = Field(description="Name of the receiver.")
    # Any string, not only NotificationEvent: a later version may have written the status.
    event: Annotated[str, Field(max_length=64)] = Field(description="Event of the job.")
    time: Annotated[str, Field(max_length=40)] = Field(description="Time of the event.")
    result: Literal["Delivered", "Dropped"] | None = Field(
        default=None,
        description="Delivered, or Dropped after the last attempt failed; absent while delivery is attempted.",
    )
    result_time: Annotated[str, Field(max_length=40)] | None = Field(default=None, description="Time of the result.")
