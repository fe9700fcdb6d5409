"""How long to leave a receiver alone that does not take what it is sent."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from typing import Final

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 300.0


class Patience:
    """Pauses between tries, twice as long after each round of failures, with jitter, until one succeeds.

    Several senders share it: what they had begun before a pause is one round, and counts once.
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
        self._back = asyncio.Event()

    async def wait(self) -> float:
        """Wait until the receiver may be tried; returns the time, for ``failed``."""
        loop = asyncio.get_running_loop()
        while (rest := self._until - loop.time()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self._back.wait()
        return loop.time()

    def failed(self, began: float, at_least: float = 0.0) -> float | None:
        """Note that a try failed which began then; returns the pause in seconds, or None when it is on already."""
        now = asyncio.get_running_loop().time()
        if began <= self._paused_at:
            return None
        self._failures += 1
        longest = min(self._longest, self._first * 2.0 ** min(self._failures - 1, 30))
        pause = max(min(at_least, self._longest), longest * (0.5 + self._jitter() / 2))
        self._paused_at, self._until = now, now + pause
        self._back.clear()
        return pause

    def succeeded(self) -> None:
        """Note that a try succeeded: the receiver is back, and the pause over for everybody."""
        self._back.set()
        self._failures = 0
        self._until = float("-inf")
