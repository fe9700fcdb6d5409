"""What becomes of notifications."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

NotificationKey = tuple[str, str, str]
"""Receiver, event and time of a notification."""
Subscriptions = Mapping[str, frozenset[str]]
"""The events that each receiver wants, by its name."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a notification; ``text`` says why it was dropped."""

    key: NotificationKey
    result: Literal["Delivered", "Dropped"]
    time: datetime
    text: str = ""
