"""Where a run is: phases with weights, told to whoever listens."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from compression_runner.telemetry.forecast import Forecaster
from compression_runner.telemetry.phase import Key, Phase
from compressionjob.report import Progress, RunStep

MAX_DETAIL = 256
MAX_STEPS = 64


class Listener(Protocol):
    """Who is told."""

    def started(self, phase: Phase, progress: Progress) -> None:
        """A phase began."""

    def advanced(self, progress: Progress, within: float) -> None:
        """A phase went on; `within` is its own fraction."""

    def ended(self, phase: Phase, seconds: float, progress: Progress) -> None:
        """A phase ended well."""


@runtime_checkable
class FailureListener(Protocol):
    """Who is told of what did not end well, too."""

    def failed(self, phase: Phase, seconds: float, progress: Progress) -> None:
        """A phase ended with an error."""


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
        self._states: dict[int, str] = {}
        self._index = 0
        self._total = 0.0
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
            left = sum(phase.weight for phase in phases)
            reached = self._done / self._total if self._total else 0.0
            self._phases = self._phases[: self._index] + list(phases)
            self._total = sum(phase.weight for phase in self._phases)
            if left and 0.0 < reached < 1.0 and self._done < reached * self._total:
                # More is to come than was thought: what is left takes the rest of the way, and nothing goes back.
                self._done = reached / (1.0 - reached) * left
                self._total = self._done + left
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
        current, at = self._enter(title, method)
        self._open += 1
        start = self._clock()
        for listener in self._listeners:
            listener.started(current, self.snapshot())
        well = False
        try:
            yield self._advance
            well = True
        finally:
            if not well:
                self._fail(current, at, self._clock() - start)
        with self._lock:
            self._states[at] = "Done"
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
            self._done = self._total = self._total or 1.0
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
            total, weight = self._total, self._current.weight
            usual = self._forecaster.usual_share() if self._open == 1 else 0.0
            done, likely = (self._done + share * weight for share in (self._within, max(self._within, usual)))
            return Progress(
                stage=self._current.title,
                index=self._index,
                total=len(self._phases),
                fraction=min(1.0, done / total) if total else 0.0,
                estimate=min(1.0, likely / total) if total else 0.0,
                steps=self._steps(),
                detail=self._detail[:MAX_DETAIL],
                remaining=self._forecaster.remaining(),
            )

    @property
    def failed(self) -> str:
        """The step that failed, the innermost one; empty where none did."""
        with self._lock:
            return next((self._phases[at].title for at, state in self._states.items() if state == "Failed"), "")

    def _fail(self, phase: Phase, at: int, seconds: float) -> None:
        with self._lock:
            # In the order in which they fail: the innermost one first.
            self._states.pop(at, None)
            self._states[at] = "Failed"
        for listener in self._listeners:
            if isinstance(listener, FailureListener):
                listener.failed(phase, seconds, self.snapshot())

    def _steps(self) -> list[RunStep]:
        """Return the steps in order; one that came later than it was expected stands where it came."""
        listed = [(phase, self._states.get(at, "Pending")) for at, phase in enumerate(self._phases)]
        run = {phase.key for phase, state in listed if state not in ("Skipped", "Pending")}
        shown = [(phase, state) for phase, state in listed if state != "Skipped" or phase.key not in run]
        return [RunStep(title=phase.title[:128], state=state) for phase, state in shown[:MAX_STEPS]]

    def _enter(self, title: str, method: str) -> tuple[Phase, int]:
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
            at = self._index + skipped
            self._states |= dict.fromkeys(range(self._index, at), "Skipped") | {at: "Running"}
            self._current = self._phases[at]
            self._index = at + 1
            self._within = 0.0
            if not self._open:
                self._forecaster.begin(self._current, self._phases[self._index :])
            return self._current, at

    def _advance(self, fraction: float, detail: str = "") -> None:
        with self._lock:
            self._within = max(self._within, min(1.0, fraction))
            self._detail = detail
            within = self._within
            if self._open == 1:
                self._forecaster.advance(within)
        for listener in self._listeners:
            listener.advanced(self.snapshot(), within)
