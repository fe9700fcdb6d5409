"""The progress of a run: weighted phases, reported to listeners."""

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
    """Receives the progress of a run."""

    def started(self, phase: Phase, progress: Progress) -> None:
        """Handle the beginning of a phase."""

    def advanced(self, progress: Progress, within: float) -> None:
        """Handle progress; `within` is the share of the phase that is done."""

    def ended(self, phase: Phase, seconds: float, progress: Progress) -> None:
        """Handle the end of a successful phase."""


@runtime_checkable
class FailureListener(Protocol):
    """Receives failed phases too."""

    def failed(self, phase: Phase, seconds: float, progress: Progress) -> None:
        """Handle the end of a failed phase."""


def counting(total: int, advance: Callable[[float, str], None], share: float = 1.0) -> Callable[[int], None]:
    """Return a callback that takes the bytes of each moved piece, and reports their share of `total` to `advance`.

    All bytes together are `share` of the phase.
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
        """Set the phases that follow the current one, in order.

        ``beyond`` is the weight of work that follows this run elsewhere: it counts in the forecast, not in the
        progress.
        """
        with self._lock:
            left = sum(phase.weight for phase in phases)
            reached = self._done / self._total if self._total else 0.0
            self._phases = self._phases[: self._index] + list(phases)
            self._total = sum(phase.weight for phase in self._phases)
            if left and 0.0 < reached < 1.0 and self._done < reached * self._total:
                # There is more work than expected: progress must not go back, so the rest shares the remaining part.
                self._done = reached / (1.0 - reached) * left
                self._total = self._done + left
            self._forecaster.expect(phases, beyond)

    def recall(self, seconds: Mapping[Key, float]) -> None:
        """Set the seconds of phases in earlier runs; phases that have just ended used their results."""
        with self._lock:
            self._forecaster.recall(seconds)

    @contextmanager
    def phase(self, title: str, method: str = "") -> Iterator[Callable[[float, str], None]]:
        """Run a phase for the duration of the block; yield a callback for the share that is done and a detail.

        After a nested phase (a stage that fetches its teacher), the outer phase continues.
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
        """End the run: everything is done."""
        with self._lock:
            self._done = self._total = self._total or 1.0
            self._forecaster = Forecaster(self._clock)
            self._current = Phase("done", "", 0.0)
        for listener in self._listeners:
            listener.advanced(self.snapshot(), 1.0)

    def titles(self) -> list[str]:
        """Return the titles of the known phases in order."""
        with self._lock:
            return [phase.title for phase in self._phases]

    def snapshot(self) -> Progress:
        """Return the state as the contract's Progress."""
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
        """The innermost step that failed; empty if none did."""
        with self._lock:
            return next((self._phases[at].title for at, state in self._states.items() if state == "Failed"), "")

    def _fail(self, phase: Phase, at: int, seconds: float) -> None:
        with self._lock:
            # Order by failure: the innermost phase fails first.
            self._states.pop(at, None)
            self._states[at] = "Failed"
        for listener in self._listeners:
            if isinstance(listener, FailureListener):
                listener.failed(phase, seconds, self.snapshot())

    def _steps(self) -> list[RunStep]:
        """Return the steps in order; a step that ran later than planned is listed where it ran."""
        listed = [(phase, self._states.get(at, "Pending")) for at, phase in enumerate(self._phases)]
        run = {phase.key for phase, state in listed if state not in ("Skipped", "Pending")}
        shown = [(phase, state) for phase, state in listed if state != "Skipped" or phase.key not in run]
        return [RunStep(title=phase.title[:128], state=state) for phase, state in shown[:MAX_STEPS]]

    def _enter(self, title: str, method: str) -> tuple[Phase, int]:
        with self._lock:
            upcoming = self._phases[self._index :]
            # A phase may be unnecessary (there is a checkpoint): those before the beginning phase count as done.
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
