"""Outcomes of notifications."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

NotificationKey = tuple[str, str, str]
"""Receiver, event and time of a notification."""
Subscriptions = Mapping[str, frozenset[str]]
"""The events that each receiver subscribes to, by its name."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """The outcome of a notification; ``text`` is the reason for a drop."""

    key: NotificationKey
    result: Literal["Delivered", "Dropped"]
    time: datetime
    text: str = ""
