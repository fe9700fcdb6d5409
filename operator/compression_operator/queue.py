"""The work queue between watching and reconciling: deduplicating, delayed, one worker per key."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final

FIRST_BACKOFF: Final = 0.2
LONGEST_BACKOFF: Final = 60.0
LONGEST_WAIT: Final = 120.0
"""Maximum delay of a retry in seconds, also for ``at_least``."""


class WorkQueue:
    """A queue in which each key waits at most once and is processed by at most one worker at a time.

    ``add`` with a delay keeps the earliest requested time. A key that is added while a worker processes it waits until
    ``done``. Keys that fail come back after an exponential backoff with jitter.
    """

    def __init__(
        self,
        *,
        first_backoff: float = FIRST_BACKOFF,
        longest_backoff: float = LONGEST_BACKOFF,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._first_backoff = first_backoff
        self._longest_backoff = longest_backoff
        self._jitter = jitter
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._queued: dict[str, float] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._working: set[str] = set()
        self._again: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    def __len__(self) -> int:
        """Return the number of keys that are ready."""
        return len(self._queued)

    @property
    def waiting(self) -> int:
        """Number of keys that wait for their time."""
        return len(self._timers)

    @property
    def age(self) -> float:
        """Seconds for which the key at the head has been ready; 0 if the queue is empty."""
        since = next(iter(self._queued.values()), None)
        return 0.0 if since is None else time.monotonic() - since

    def add(self, key: str, delay: float = 0.0) -> None:
        """Queue a key to be ready in ``delay`` seconds, or earlier if it is already queued for an earlier time."""
        when = asyncio.get_running_loop().time() + max(0.0, delay)
        if key in self._working:
            self._again[key] = min(when, self._again.get(key, when))
        elif key not in self._queued:
            self._schedule(key, when, immediately=delay <= 0)

    async def get(self) -> str:
        """Wait for a key and take it; ``done`` must follow."""
        key = await self._ready.get()
        self._queued.pop(key, None)
        self._working.add(key)
        return key

    def done(self, key: str) -> None:
        """Mark the work on a key as ended, successful or not."""
        self._working.discard(key)
        again = self._again.pop(key, None)
        if again is not None:
            self.add(key, again - asyncio.get_running_loop().time())

    def retry(self, key: str, at_least: float = 0.0) -> float:
        """Queue a key again whose work failed, after its backoff and at least ``at_least`` seconds; return the delay.

        The delay is at most LONGEST_WAIT.
        """
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        longest = min(self._longest_backoff, self._first_backoff * 2.0 ** min(failures - 1, 30))
        delay = max(min(at_least, LONGEST_WAIT), longest * (0.5 + self._jitter() / 2))
        self.add(key, delay)
        return delay

    def forget(self, key: str) -> None:
        """Reset the backoff of a key whose work succeeded."""
        self._failures.pop(key, None)

    def clear(self) -> None:
        """Remove all keys, timers and failures. No worker may be running."""
        for timer in self._timers.values():
            timer.cancel()
        for keys in (self._queued, self._timers, self._again, self._failures):
            keys.clear()
        self._working.clear()
        self._ready = asyncio.Queue()

    def _schedule(self, key: str, when: float, *, immediately: bool) -> None:
        timer = self._timers.get(key)
        if timer is not None and not immediately and timer.when() <= when:
            return
        if timer is not None:
            timer.cancel()
            del self._timers[key]
        if immediately:
            self._make_ready(key)
        else:
            self._timers[key] = asyncio.get_running_loop().call_at(when, self._on_time, key)

    def _on_time(self, key: str) -> None:
        del self._timers[key]
        self._make_ready(key)

    def _make_ready(self, key: str) -> None:
        self._queued[key] = time.monotonic()
        self._ready.put_nowait(key)
