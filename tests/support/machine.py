"""A fake machine whose counters are set by a test."""

from collections.abc import Callable
from dataclasses import replace

from compression_runner.evaluation.machine.noise import Reading
from compression_runner.evaluation.machine.waiting import ThreadWaits


class Machine:
    """The kernel's counters of a machine with two CPUs. Every second reading starts a block; blocks last a second.

    `taken` maps the number of a block to the share of its time that other processes take.
    """

    def __init__(self, taken: Callable[[int], float] = lambda block: 0.0) -> None:
        self._taken = taken
        self._looks = 0
        self._last = Reading(
            busy=0.0, total=0.0, steal=0.0, own=0.0, throttled_periods=None, throttled_seconds=None, waited=0.0
        )

    def __call__(self) -> Reading:
        """Return the counters one second after the previous ones."""
        last, taken = self._last, self._taken(self._looks // 2) if self._looks % 2 else 0.0
        self._looks += 1
        self._last = replace(
            last,
            moment=last.moment + 1.0,
            total=last.total + 2.0,
            busy=last.busy + 1.0,
            own=last.own + 1.0 - taken,
            waited=(last.waited or 0.0) + taken,
        )
        return self._last


class Uncounted(ThreadWaits):
    """The counters of a kernel that does not count the waiting time of threads."""

    def __init__(self) -> None:
        self._caller, self._others, self._last = None, [], {}
