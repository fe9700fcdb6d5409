"""Energy and noise of a stage on a GPU, sampled every second.

No figure of a verdict is measured during a stage. So this noise makes no limit undecided. It explains why a training
was slow.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from compression_runner.gpu.card import Card, GpuState, open_card
from compression_runner.gpu.others import CONTEXT_BYTES, other_processes

EVERY: Final = 1.0
"""Seconds between readings. NVML's own samples are between a sixth of a second and a second long."""
SHARED_TIME: Final = 0.02
"""Share of a GPU's time: if others' kernels ran for more of it, the GPU was shared."""


class GpuWatch:
    """Counts in regular readings the other processes on a GPU, and throttling. Without a GPU, it reports nothing."""

    def __init__(
        self,
        card: Card | None,
        own_bytes: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`own_bytes` returns the memory of tensors, if this process does all the work."""
        self._card, self._clock, self._own_bytes = card, clock, own_bytes
        self._mine = {os.getpid()}
        self._slowed: Counter[str] = Counter()
        self._looks = self._shared = self._most_others = self._most_bytes = 0
        self._knows_others = False
        self._shares: list[float] = []
        self._looked = clock()
        self._first = self._last = card.look() if card else GpuState()

    def includes(self, pid: int) -> None:
        """Count another process as part of the work."""
        self._mine.add(pid)

    def step(self) -> None:
        """Take a reading if the last one was EVERY seconds ago; otherwise this costs next to nothing."""
        if self._card is not None and self._clock() >= self._looked + EVERY:
            self._look(self._card)

    def to_report(self) -> dict[str, Any]:
        """Return the figures for the report, after a last reading; empty without a driver."""
        if self._card is None:
            return {}
        self._look(self._card)
        figures: dict[str, Any] = {
            "name": self._card.name,
            "energyJoules": self._energy(),
            "looks": self._looks or None,
            "sharedLooks": self._shared if self._knows_others else None,
            "mostOtherProcesses": self._most_others or None,
            "mostOtherBytes": self._most_bytes or None,
            "otherShare": round(sum(self._shares) / len(self._shares), 4) if self._shares else None,
            "slowedLooks": dict(sorted(self._slowed.items())) or None,
            "notes": self._notes() or None,
        }
        return {key: value for key, value in figures.items() if value is not None}

    def _look(self, card: Card) -> None:
        self._looked, self._last = self._clock(), card.look()
        state = self._last
        others = other_processes(state, self._mine, len(self._mine))
        their_bytes, share = self._other_bytes(state), self._other_share(state)
        known = (others, their_bytes, share) != (None, None, None)
        if not known and state.slowed_by is None:
            return
        self._looks += 1
        self._knows_others |= known
        self._slowed.update(state.slowed_by or ())
        self._most_others = max(self._most_others, others or 0)
        self._most_bytes = max(self._most_bytes, their_bytes or 0)
        self._shared += bool(others) or bool(their_bytes) or (share or 0.0) > SHARED_TIME
        if share is not None:
            self._shares.append(share)

    def _other_bytes(self, state: GpuState) -> int | None:
        """Return bytes that cannot belong to this process: the only sign of others whose pids are hidden."""
        listed = [size for pid, size in state.processes or () if pid in self._mine and size is not None]
        own = sum(listed) if listed else self._own_bytes() if self._own_bytes else None
        if state.used_bytes is None or own is None:
            return None
        foreign = state.used_bytes - own
        return foreign if foreign > CONTEXT_BYTES else 0

    def _other_share(self, state: GpuState) -> float | None:
        """Return the share of the GPU's time in which others' kernels ran; None if the own pids are not listed."""
        if state.shares is None or not self._mine & state.shares.keys():
            return None
        return min(1.0, sum(share for pid, share in state.shares.items() if pid not in self._mine))

    def _energy(self) -> float | None:
        """Return joules between the first and the last reading; None without both, or if the driver was reloaded."""
        if self._first.joules is None or self._last.joules is None or self._last.joules < self._first.joules:
            return None
        return round(self._last.joules - self._first.joules, 3)

    def _notes(self) -> list[str]:
        """Return sentences on possible causes of slow work."""
        notes = [
            f"the GPU was throttled in {times} of {self._looks} readings ({reason})"
            for reason, times in sorted(self._slowed.items())
        ]
        if self._shared:
            share = sum(self._shares) / len(self._shares) if self._shares else 0.0
            used = f", and used {share:.0%} of its time" if share >= 0.01 else ""
            notes.append(f"other processes were on the GPU in {self._shared} of {self._looks} readings{used}")
        return notes


@contextmanager
def watching(uuid: str | None, own_bytes: Callable[[], int] | None = None) -> Iterator[GpuWatch]:
    """Watch the GPU with CUDA's UUID; None is no GPU."""
    card = open_card(uuid) if uuid else None
    try:
        yield GpuWatch(card, own_bytes)
    finally:
        if card is not None:
            card.close()
