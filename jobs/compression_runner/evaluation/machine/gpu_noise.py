"""Noise on the GPU of a measurement: other processes, and clocks that heat or power lowers.

The driver reports both for a block of a measurement, and not for single queries. What it reports bounds the seconds
that a block may have lost:

- Other processes: the share of the time in which their kernels ran. Where the driver shows other processes and not
  what they compute (MIG instances, hidden processes), they may have computed all the time.
- Lower clocks: the time in which heat, a power brake or the hardware lowered them, times the share of the highest clock
  that was missing.

The power limit is no noise while the measurement has the GPU alone: the model also reaches it when it serves. With
other processes or other instances it is, since their power counts as well. Effects on the GPU's caches and memory
bandwidth are not visible here.
"""

from collections.abc import Set
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final

from compression_runner.gpu.card import HEAT, POWER, Card
from compression_runner.gpu.others import Others, others_on
from compressionjob.report import GpuNoiseReport

WINDOW: Final = 1.0
"""Seconds before a reading whose use of the GPU counts; the driver's own samples are up to a second long."""


@dataclass(frozen=True)
class GpuReading:
    """The GPU at one moment: others on it, causes of lower clocks, the clock, and the driver's count of hot seconds.

    `clock` is a share of the highest clock. None means that the driver does not report it.
    """

    others: Others
    slowed_by: frozenset[str] = frozenset()
    clock: float | None = None
    hot_seconds: float | None = None

    @property
    def unmeasured(self) -> bool:
        """Whether there are others of which the driver does not say how much they compute."""
        others = self.others
        return bool(others.hidden_bytes) or (bool(others.processes) and others.share is None)

    @property
    def share(self) -> float:
        """The largest share of the time that kernels of others may have taken."""
        return 1.0 if self.unmeasured else self.others.share or 0.0


def read_gpu(card: Card, mine: Set[int], own_processes: int = 1) -> GpuReading:
    """Read the GPU now; the processes `mine` work for the measurement, `own_processes` of them on the GPU."""
    state = card.look(WINDOW)
    others = others_on(state, mine, own_processes)
    causes = state.slowed_by or frozenset()
    alone = not card.partial and GpuReading(others).share == 0.0
    return GpuReading(others, causes - {POWER} if alone else causes, state.clock, state.hot_seconds)


@dataclass(frozen=True)
class GpuNoise:
    """The noise of a GPU in one or more intervals of time, in seconds.

    `taken` is the most that kernels of others took, `slowed` the most that lower clocks took, for the causes in
    `slowed_by`. `others` is the largest number of other processes at once; None if the driver lists none at all.
    `unmeasured` says that the driver does not report how much they computed.
    """

    elapsed: float
    taken: float = 0.0
    slowed: float = 0.0
    others: int | None = None
    unmeasured: bool = False
    slowed_by: frozenset[str] = frozenset()

    def __add__(self, more: "GpuNoise") -> "GpuNoise":
        counts = [count for count in (self.others, more.others) if count is not None]
        return GpuNoise(
            self.elapsed + more.elapsed,
            self.taken + more.taken,
            self.slowed + more.slowed,
            max(counts, default=None),
            self.unmeasured or more.unmeasured,
            self.slowed_by | more.slowed_by,
        )

    @property
    def lost(self) -> float:
        """Upper bound of the seconds that the measurement lost."""
        return min(self.elapsed, self.taken + self.slowed)

    def to_report(self) -> GpuNoiseReport:
        """Return the figures for the report."""
        return GpuNoiseReport(
            other_processes=self.others,
            other_share=round(self._share(self.taken), 4),
            others_measured=not self.unmeasured,
            slowed_share=round(self._share(self.slowed), 4),
            slowed_by=sorted(self.slowed_by),
        )

    def notes(self) -> list[str]:
        """Return sentences about possible disturbances, and about missing readings; none for a quiet GPU."""
        notes: list[str] = []
        share = self._share(self.taken)
        if self.unmeasured:
            notes.append("other processes are on the GPU, and its driver does not report how much they compute")
        elif self.others is None:
            notes.append("the driver lists no processes, so others on the GPU are unknown")
        elif round(share, 2):
            notes.append(f"kernels of other processes ran for {share:.0%} of the time on the GPU")
        if self.slowed_by:
            causes = " and ".join(sorted(self.slowed_by))
            notes.append(f"the GPU's clocks were lowered ({causes}), by {self._share(self.slowed):.0%} at most")
        return notes

    def _share(self, seconds: float) -> float:
        return min(1.0, seconds / max(self.elapsed, 1e-9))


def gpu_noise_between(before: GpuReading, after: GpuReading, elapsed: float) -> GpuNoise:
    """Return the noise between two readings that are `elapsed` seconds apart."""
    readings = (before, after)
    counts = [reading.others.processes for reading in readings if reading.others.processes is not None]
    seconds, causes = _slowed(before, after, elapsed)
    return GpuNoise(
        elapsed,
        taken=elapsed * max(reading.share for reading in readings),
        slowed=seconds,
        others=max(counts, default=None),
        unmeasured=any(reading.unmeasured for reading in readings),
        slowed_by=causes,
    )


def _slowed(before: GpuReading, after: GpuReading, elapsed: float) -> tuple[float, frozenset[str]]:
    """Return the most seconds that lower clocks took, and their causes.

    A slowdown at one end may have lasted the whole time, at the lowest clock of both ends. Of one between the ends the
    driver counts the time if heat is its cause, and the clock is not known.
    """
    seen = [reading for reading in (before, after) if reading.slowed_by]
    if seen:
        lowest = min(reading.clock or 0.0 for reading in seen)
        return elapsed * (1.0 - lowest), reduce(or_, (reading.slowed_by for reading in seen))
    if before.hot_seconds is None or after.hot_seconds is None or after.hot_seconds <= before.hot_seconds:
        return 0.0, frozenset()
    return min(elapsed, after.hot_seconds - before.hot_seconds), frozenset({HEAT})
