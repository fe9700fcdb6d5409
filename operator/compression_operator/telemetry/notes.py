"""An Event before it is sent."""

from dataclasses import dataclass
from typing import Literal

EventType = Literal["Normal", "Warning"]


@dataclass(frozen=True, slots=True)
class Note:
    """An Event about the CompressionJob; ``reason`` is a constant of ``event_reasons``.

    ``cause`` is the reason, of ``compressionjob.conditions``, of a try that failed and is made again.
    """

    type: EventType
    reason: str
    text: str
    cause: str = ""
