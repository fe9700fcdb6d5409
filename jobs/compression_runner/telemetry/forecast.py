"""Estimate the remaining time of a run from its plan, its finished phases, and earlier runs of the same phases.

A phase of an earlier run takes as long again, scaled by the speed of this machine, which phases known from both runs
show. Another phase takes its weight times the seconds per weight of the known phases. Within a phase, its own pace
counts more as it advances. There is no forecast until phases with MIN_BASIS of the run's weight are known. The forecast
is smoothed with a time constant of a tenth of the remaining time.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from compression_runner.telemetry.phase import Key, Phase
from compressionjob.report import Remaining

MIN_BASIS: Final = 0.1
"""Share of the weight that must be known for a forecast."""
OWN_PACE: Final = 0.1
"""Share of a phase after which its own pace counts as much as its earlier estimate."""
LEAST_PACE: Final = 0.02
"""Share of a phase that must have passed before it has a pace."""
OVERDUE: Final = 0.1
"""Estimate for a phase that exceeds its time without progress: this share of its time so far."""
SMOOTHING: Final = 0.1
"""Time constant of the smoothing, as a share of the remaining time."""
USUAL_SHARE: Final = 0.95
"""Largest progress of a phase that reports none, by its usual time alone."""
SPEEDS: Final = (0.2, 5.0)
"""Bounds of the time of this machine as a multiple of the time in earlier runs."""


class Forecaster:
    """Receives the phases of a run, and estimates the rest; ``clock`` returns monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._upcoming: Sequence[Phase] = ()
        self._beyond = 0.0
        self._total = 0.0
        self._weights: dict[Key, float] = {}
        self._took: dict[Key, float] = {}
        self._recalled: dict[Key, float] = {}
        self._current: Phase | None = None
        self._began = 0.0
        self._within = 0.0
        self._anchor: tuple[float, float] | None = None
        self._finish: float | None = None
        self._smoothed_at = 0.0

    def expect(self, phases: Sequence[Phase], beyond: float = 0.0) -> None:
        """Set the coming phases; ``beyond`` is the weight of work that follows this run elsewhere."""
        self._upcoming, self._beyond = tuple(phases), beyond
        self._weights |= {phase.key: phase.weight for phase in phases}
        self._total = sum(self._weights.values()) + beyond

    def recall(self, seconds: Mapping[Key, float]) -> None:
        """Set the seconds of phases in earlier runs; a phase that has just ended used their result."""
        self._recalled |= seconds
        for key in seconds:
            self._took.pop(key, None)

    def begin(self, phase: Phase, upcoming: Sequence[Phase]) -> None:
        """Begin a phase; ``upcoming`` are the phases after it."""
        self._current, self._upcoming = phase, tuple(upcoming)
        self._began, self._within, self._anchor = self._clock(), 0.0, None

    def advance(self, within: float) -> None:
        """Set the share of the current phase that is done."""
        # A phase that continues the work of a killed pod starts in its middle.
        if self._anchor is None:
            self._anchor = (self._clock(), within) if within > LEAST_PACE else (self._began, 0.0)
        self._within = within

    def end(self) -> None:
        """End the current phase."""
        if self._current is not None and self._current.weight:
            self._took[self._current.key] = self._clock() - self._began
        self._current = None

    def remaining(self) -> Remaining | None:
        """Return the remaining time; None while too little is known."""
        rate = self._rate()
        if rate is None:
            return None
        speed = self._speed()
        left = self._left_of_current(rate, speed)
        left += sum(self._estimate(phase, rate, speed) for phase in self._upcoming) + self._beyond * rate
        return Remaining(seconds=round(min(self._smooth(left), 1e9), 1), basis=self._basis())

    def usual_share(self) -> float:
        """Return the share of the current phase by its usual time; at most USUAL_SHARE."""
        if self._current is None:
            return 0.0
        expected = self._estimate(self._current, self._rate() or 1.0, self._speed())
        return USUAL_SHARE * (1.0 - math.exp((self._began - self._clock()) / max(expected, 1.0)))

    def _known(self) -> dict[Key, float]:
        """Return the seconds of every known phase of the plan; this run's take precedence over earlier runs'."""
        return {key: seconds for key, seconds in (self._recalled | self._took).items() if self._weights.get(key)}

    def _rate(self) -> float | None:
        """Return the seconds per unit of weight; None while too little is known."""
        known = self._known()
        weight, seconds = sum(self._weights[key] for key in known), sum(known.values())
        pace = self._pace()
        if self._current is not None and pace is not None and self._current.key not in known:
            weight += self._current.weight * (self._within - pace[0])
            seconds += pace[1]
        return seconds / weight if self._total and weight >= MIN_BASIS * self._total else None

    def _pace(self) -> tuple[float, float] | None:
        """Return the share of the current phase at which its pace began to count, and the seconds since then."""
        if self._anchor is None or self._within - self._anchor[1] < LEAST_PACE:
            return None
        return self._anchor[1], self._clock() - self._anchor[0]

    def _speed(self) -> float:
        """Return the time of this machine per second of earlier runs."""
        both = [key for key in self._took if self._recalled.get(key)]
        if not both:
            return 1.0
        ratio = sum(self._took[key] for key in both) / sum(self._recalled[key] for key in both)
        return min(max(ratio, SPEEDS[0]), SPEEDS[1])

    def _estimate(self, phase: Phase, rate: float, speed: float) -> float:
        before = self._recalled.get(phase.key)
        return phase.weight * rate if before is None else before * speed

    def _left_of_current(self, rate: float, speed: float) -> float:
        if self._current is None:
            return 0.0
        elapsed = self._clock() - self._began
        expected = self._estimate(self._current, rate, speed)
        pace = self._pace()
        if pace is None:
            return max(expected - elapsed, OVERDUE * elapsed)
        seen = self._within - pace[0]
        trust = seen / (seen + OWN_PACE)
        return (1 - self._within) * (trust * pace[1] / seen + (1 - trust) * expected)

    def _smooth(self, left: float) -> float:
        now = self._clock()
        if self._finish is None:
            self._finish = now + left
        else:
            constant = max(0.1, SMOOTHING * left)
            self._finish += (1 - math.exp((self._smoothed_at - now) / constant)) * (now + left - self._finish)
        self._smoothed_at = now
        return min(max(self._finish - now, left / 2), 2 * left + 1)

    def _basis(self) -> str:
        own, earlier = len(self._took), len([key for key in self._known() if key not in self._took])
        parts = [f"{own} phases of this run"] if own else []
        parts += [f"{earlier} of earlier runs"] if earlier else []
        return ", ".join(parts) or "the pace of this phase"
