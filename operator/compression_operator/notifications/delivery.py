"""The end of a notification."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from compression_operator.records import NotificationKey


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a notification; ``text`` says why it was dropped."""

    key: NotificationKey
    result: Literal["Delivered", "Dropped"]
    time: datetime
    text: str = ""
