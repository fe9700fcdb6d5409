"""An Event before it is sent."""

from dataclasses import dataclass
from typing import Final, Literal

EventType = Literal["Normal", "Warning"]

MAX_NOTE: Final = 1000
"""Maximum characters of an Event's note: events.k8s.io allows 1 kB."""


@dataclass(frozen=True, slots=True)
class Note:
    """An Event about a CompressionJob, or a CompressionReview; ``reason`` is a constant of ``event_reasons``.

    ``cause`` is the reason, from ``compressionjob.conditions``, of a failed attempt that is retried.
    """

    type: EventType
    reason: str
    text: str
    cause: str = ""
