"""How long a run will still take: from its plan, from how long its phases took so far, and from earlier runs of them.

A phase that ran before takes as long again, on a machine that is faster or slower by what phases known from both tell.
One that did not takes its weight's share at the rate of those that are known. Within a phase its own pace counts more
the further it is. Nothing is told until phases of MIN_BASIS of the run's weight are known, and what is told moves
smoothly, in a tenth of the time that is left.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from compression_runner.telemetry.phase import Key, Phase
from compressionjob.report import Remaining

MIN_BASIS: Final = 0.1
"""Share of the weight that must be known before a forecast is more than a guess."""
OWN_PACE: Final = 0.1
"""Share of a phase after which its own pace counts as much as what was known before it began."""
LEAST_PACE: Final = 0.02
"""Share of a phase that must have passed before it has a pace."""
OVERDUE: Final = 0.1
"""What is over its time and shows no progress will take so much of its time so far again, as far as anybody knows."""
SMOOTHING: Final = 0.1
"""Time constant of the smoothing, as a share of the time that is left."""
USUAL_SHARE: Final = 0.95
"""What a phase that tells nothing comes to by its usual time alone."""
SPEEDS: Final = (0.2, 5.0)
"""Bounds of how much slower or faster this machine is taken to be than that of earlier runs."""


class Forecaster:
    """Is told what a run does; ``clock`` gives seconds that never go back."""

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
        self._told_at = 0.0

    def expect(self, phases: Sequence[Phase], beyond: float = 0.0) -> None:
        """What is to come; ``beyond`` is the weight of what follows this run elsewhere."""
        self._upcoming, self._beyond = tuple(phases), beyond
        self._weights |= {phase.key: phase.weight for phase in phases}
        self._total = sum(self._weights.values()) + beyond

    def recall(self, seconds: Mapping[Key, float]) -> None:
        """How long phases took in earlier runs; one that seems to have just run was taken from there."""
        self._recalled |= seconds
        for key in seconds:
            self._took.pop(key, None)

    def begin(self, phase: Phase, upcoming: Sequence[Phase]) -> None:
        """A phase began; ``upcoming`` are those after it."""
        self._current, self._upcoming = phase, tuple(upcoming)
        self._began, self._within, self._anchor = self._clock(), 0.0, None

    def advance(self, within: float) -> None:
        """The phase that goes on has come to this share of it."""
        # One that goes on from where another pod was killed starts in its middle.
        if self._anchor is None:
            self._anchor = (self._clock(), within) if within > LEAST_PACE else (self._began, 0.0)
        self._within = within

    def end(self) -> None:
        """The phase ended."""
        if self._current is not None and self._current.weight:
            self._took[self._current.key] = self._clock() - self._began
        self._current = None

    def remaining(self) -> Remaining | None:
        """How long the rest will take, or None as long as there is too little to tell it from."""
        rate = self._rate()
        if rate is None:
            return None
        speed = self._speed()
        left = self._left_of_current(rate, speed)
        left += sum(self._estimate(phase, rate, speed) for phase in self._upcoming) + self._beyond * rate
        return Remaining(seconds=round(min(self._smooth(left), 1e9), 1), basis=self._basis())

    def usual_share(self) -> float:
        """Share of the phase that goes on by the time that it usually takes, which never says that it is over."""
        if self._current is None:
            return 0.0
        expected = self._estimate(self._current, self._rate() or 1.0, self._speed())
        return USUAL_SHARE * (1.0 - math.exp((self._began - self._clock()) / max(expected, 1.0)))

    def _known(self) -> dict[Key, float]:
        """Seconds of every phase of the plan that is known, this run's own before an earlier one's."""
        return {key: seconds for key, seconds in (self._recalled | self._took).items() if self._weights.get(key)}

    def _rate(self) -> float | None:
        """Seconds for each unit of weight."""
        known = self._known()
        weight, seconds = sum(self._weights[key] for key in known), sum(known.values())
        pace = self._pace()
        if self._current is not None and pace is not None and self._current.key not in known:
            weight += self._current.weight * (self._within - pace[0])
            seconds += pace[1]
        return seconds / weight if self._total and weight >= MIN_BASIS * self._total else None

    def _pace(self) -> tuple[float, float] | None:
        """Share of the phase that goes on at which its pace was first known, and the seconds since then."""
        if self._anchor is None or self._within - self._anchor[1] < LEAST_PACE:
            return None
        return self._anchor[1], self._clock() - self._anchor[0]

    def _speed(self) -> float:
        """Time of this machine for each second of earlier runs."""
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
            self._finish += (1 - math.exp((self._told_at - now) / constant)) * (now + left - self._finish)
        self._told_at = now
        return min(max(self._finish - now, left / 2), 2 * left + 1)

    def _basis(self) -> str:
        own, earlier = len(self._took), len([key for key in self._known() if key not in self._took])
        parts = [f"{own} phases of this run"] if own else []
        parts += [f"{earlier} of earlier runs"] if earlier else []
        return ", ".join(parts) or "the pace of this phase"
