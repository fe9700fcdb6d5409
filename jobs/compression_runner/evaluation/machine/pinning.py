"""Pin this process to some CPUs while it measures, all of its threads."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from compression_runner.evaluation.machine.cpus import MeasuringCpus

TASKS: Final = Path("/proc/self/task")


class Pin:
    """The CPUs that threads had before they were pinned. `held` says whether pinning them worked."""

    def __init__(self) -> None:
        self.held = False
        self._before: dict[int, set[int]] = {}
        self._mask: set[int] = set()

    def hold(self, numbers: tuple[int, ...]) -> None:
        """Pin every thread; those that start later inherit it. Leave all as they were where that is refused."""
        self._mask = set(numbers)
        try:
            # Threads may start while the list is read.
            while fresh := _threads() - self._before.keys():
                for thread in fresh:
                    self._pin(thread)
            self.held = os.sched_getaffinity(0) == self._mask
        except (OSError, AttributeError):  # a seccomp profile; a system without affinity
            self.release()

    def release(self) -> None:
        """Give all threads the CPUs back that they had; those that have started since get the calling thread's."""
        if not self._before:
            return
        own = self._before.get(threading.get_native_id(), set())
        for thread in _threads():
            before = self._before.get(thread, own)
            # It may have ended; one that has chosen its own CPUs meanwhile keeps them.
            with suppress(OSError):
                if before and os.sched_getaffinity(thread) == self._mask:
                    os.sched_setaffinity(thread, before)
        self._before.clear()

    def _pin(self, thread: int) -> None:
        try:
            self._before[thread] = os.sched_getaffinity(thread)
            os.sched_setaffinity(thread, self._mask)
        except ProcessLookupError:
            self._before[thread] = set()  # it has ended


@contextmanager
def pinned(cpus: MeasuringCpus) -> Iterator[Pin]:
    """Pin the process to these CPUs while the block runs or until the pin is released, where it is to be pinned."""
    pin = Pin()
    if cpus.pins:
        pin.hold(cpus.numbers)
    try:
        yield pin
    finally:
        pin.release()


def _threads() -> set[int]:
    return {int(task.name) for task in TASKS.iterdir()}
