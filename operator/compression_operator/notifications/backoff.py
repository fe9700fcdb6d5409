"""Backoff of a receiver that does not accept notifications."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Final

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 300.0


class ReceiverBackoff:
    """Pauses between attempts, twice as long after each round of failures, with jitter, until one succeeds.

    Several senders share it: their attempts that began before a pause are one round, and count once.
    """

    def __init__(
        self, *, first: float = FIRST_PAUSE, longest: float = LONGEST_PAUSE, jitter: Callable[[], float] = random.random
    ) -> None:
        self._first = first
        self._longest = longest
        self._jitter = jitter
        self._failures = 0
        self._paused_at = float("-inf")
        self._until = float("-inf")
        self._available = asyncio.Event()

    async def wait(self) -> float:
        """Wait until the pause has ended; return the time, for ``failed``."""
        loop = asyncio.get_running_loop()
        while (remaining := self._until - loop.time()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(remaining):
                    await self._available.wait()
        return loop.time()

    def failed(self, began: float, at_least: float = 0.0) -> float | None:
        """Record a failed attempt that began at ``began``; return the pause in seconds, or None if one is running."""
        now = asyncio.get_running_loop().time()
        if began <= self._paused_at:
            return None
        self._failures += 1
        longest = min(self._longest, self._first * 2.0 ** min(self._failures - 1, 30))
        pause = max(min(at_least, self._longest), longest * (0.5 + self._jitter() / 2))
        self._paused_at, self._until = now, now + pause
        self._available.clear()
        return pause

    def succeeded(self) -> None:
        """Record a successful attempt, which ends the pause for all senders."""
        self._available.set()
        self._failures = 0
        self._until = float("-inf")
