"""Pin all threads of this process to some CPUs during a measurement."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from compression_runner.evaluation.machine.cpus import MeasuringCpus

TASKS: Final = Path("/proc/self/task")


class Pin:
    """Pins threads and restores their CPUs. `held` says whether pinning succeeded."""

    def __init__(self) -> None:
        self.held = False
        self._before: dict[int, set[int]] = {}
        self._mask: set[int] = set()

    def hold(self, numbers: tuple[int, ...]) -> None:
        """Pin every thread; later threads inherit it. Restore all threads if the system refuses."""
        self._mask = set(numbers)
        try:
            # Threads may start while the list is read.
            while fresh := _threads() - self._before.keys():
                for thread in fresh:
                    self._pin(thread)
            self.held = os.sched_getaffinity(0) == self._mask
        except OSError:  # a seccomp profile
            self.release()

    def release(self) -> None:
        """Restore the CPUs of all threads; threads that started since get those of the calling thread."""
        if not self._before:
            return
        own = self._before.get(threading.get_native_id(), set())
        for thread in _threads():
            before = self._before.get(thread, own)
            # The thread may have ended; a thread that has chosen its own CPUs keeps them.
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
    """Pin the process to these CPUs, if `cpus.pins`, until the block ends or the pin is released."""
    pin = Pin()
    if cpus.pins and hasattr(os, "sched_setaffinity"):  # Linux has it
        pin.hold(cpus.numbers)
    try:
        yield pin
    finally:
        pin.release()


def _threads() -> set[int]:
    return {int(task.name) for task in TASKS.iterdir()}
