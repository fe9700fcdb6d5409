"""Where a run is: phases with weights, told to whoever listens."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from compression_runner.telemetry.forecast import Forecaster
from compression_runner.telemetry.phase import Key, Phase
from compressionjob.report import Progress

MAX_DETAIL = 256


class Listener(Protocol):
    """Who is told."""

    def started(self, phase: Phase, progress: Progress) -> None:
        """A phase began."""

    def advanced(self, progress: Progress, within: float) -> None:
        """A phase went on; `within` is its own fraction."""

    def ended(self, phase: Phase, seconds: float, progress: Progress) -> None:
        """A phase ended well."""


def counting(total: int, advance: Callable[[float, str], None], share: float = 1.0) -> Callable[[int], None]:
    """What is told the bytes of each piece that was moved, and tells `advance` how much of the `total` that makes.

    All bytes together are this share of the phase.
    """
    moved = 0

    def count(length: int) -> None:
        nonlocal moved
        moved += length
        advance(share * moved / max(1, total), "")

    return count


class RunProgress:
    """The state of a run, which other threads may read at any time."""

    def __init__(self, listeners: Sequence[Listener] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._listeners = tuple(listeners)
        self._clock = clock
        self._forecaster = Forecaster(clock)
        self._lock = threading.Lock()
        self._phases: list[Phase] = []
        self._index = 0
        self._done = 0.0
        self._within = 0.0
        self._open = 0
        self._current = Phase("", "", 0.0)
        self._detail = ""

    def expect(self, phases: Sequence[Phase], beyond: float = 0.0) -> None:
        """Says what is still to come after what was done so far; phases are then entered in this order.

        ``beyond`` is the weight of what follows this run elsewhere: it counts in the forecast, not in the progress.
        """
        with self._lock:
            self._phases = self._phases[: self._index] + list(phases)
            self._forecaster.expect(phases, beyond)

    def recall(self, seconds: Mapping[Key, float]) -> None:
        """Says how long phases took in earlier runs; those that have just ended were taken from there."""
        with self._lock:
            self._forecaster.recall(seconds)

    @contextmanager
    def phase(self, title: str, method: str = "") -> Iterator[Callable[[float, str], None]]:
        """A phase while the block runs; yields what is told its own fraction and a detail.

        Within another phase (a stage that fetches its teacher), the outer one goes on afterwards where it was.
        """
        with self._lock:
            outer = (self._current, self._within)
        current = self._enter(title, method)
        self._open += 1
        start = self._clock()
        for listener in self._listeners:
            listener.started(current, self.snapshot())
        yield self._advance
        with self._lock:
            self._open -= 1
            self._done += current.weight
            self._within, self._detail = 0.0, ""
            if self._open:
                self._current, self._within = outer
            else:
                self._forecaster.end()
        for listener in self._listeners:
            listener.ended(current, self._clock() - start, self.snapshot())

    def finish(self) -> None:
        """All is done."""
        with self._lock:
            self._done = sum(phase.weight for phase in self._phases) or 1.0
            self._forecaster = Forecaster(self._clock)
            self._current = Phase("done", "", 0.0)
        for listener in self._listeners:
            listener.advanced(self.snapshot(), 1.0)

    def titles(self) -> list[str]:
        """The phases in order, as far as they are known."""
        with self._lock:
            return [phase.title for phase in self._phases]

    def snapshot(self) -> Progress:
        """The state in the contract's words."""
        with self._lock:
            total = sum(phase.weight for phase in self._phases)
            done = self._done + self._within * self._current.weight
            return Progress(
                stage=self._current.title,
                index=self._index,
                total=len(self._phases),
                fraction=min(1.0, done / total) if total else 0.0,
                detail=self._detail[:MAX_DETAIL],
                remaining=self._forecaster.remaining(),
            )

    def _enter(self, title: str, method: str) -> Phase:
        with self._lock:
            upcoming = self._phases[self._index :]
            # A phase may turn out not to be needed (a checkpoint is there): those before the one that begins are done.
            skipped = next(
                (i for i, phase in enumerate(upcoming) if (phase.title, phase.method) == (title, method)), None
            )
            if skipped is None:
                self._phases.insert(self._index, Phase(title, method, 0.0))
                skipped = 0
            self._done += sum(phase.weight for phase in upcoming[:skipped])
            self._current = self._phases[self._index + skipped]
            self._index += skipped + 1
            self._within = 0.0
            if not self._open:
                self._forecaster.begin(self._current, self._phases[self._index :])
            return self._current

    def _advance(self, fraction: float, detail: str = "") -> None:
        with self._lock:
            self._within = max(self._within, min(1.0, fraction))
            self._detail = detail
            within = self._within
            if self._open == 1:
                self._forecaster.advance(within)
        for listener in self._listeners:
            listener.advanced(self.snapshot(), within)
