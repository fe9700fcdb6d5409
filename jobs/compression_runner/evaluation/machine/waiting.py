"""How long the threads of this process were ready to run and had no CPU, read between two queries.

The kernel counts it for each thread (proc(5), schedstat, second field). A query's latency without what others took lies
between what is left when the waiting of all threads is taken off, and what is left when only that of the thread which
asks is, where the engine works in that thread alone:

- A thread that is delayed by d delays the query by d at most: the others go on or wait for it. So the query would have
  taken at least its latency less the sum over threads.
- Where one thread does all the work, one step after the other, each moment of its waiting is a moment in which the
  query stands still. So the query would have taken at most its latency less that thread's waiting.

What others do to caches, to the memory's bandwidth and to the clock frequency is not seen here.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

TASKS = Path("/proc/self/task")


class Waited(NamedTuple):
    """Nanoseconds that the calling thread, and all threads together, were ready and had no CPU, since they began."""

    caller: int
    every: int


class ThreadWaits:
    """The counters of the threads that exist when it is opened; threads that begin later are not counted.

    `available` is false on a kernel that does not count them. Reading takes about two microseconds a thread.
    """

    def __init__(self, tasks: Path = TASKS) -> None:
        self._caller: int | None = None
        self._others: list[int] = []
        self._last: dict[int, int] = {}
        try:
            for thread in tasks.iterdir():
                self._open(thread)
        except OSError:  # more threads than this process may open files: a sum over some of them bounds nothing
            self.close()
        if not self._counts():
            self.close()

    @property
    def available(self) -> bool:
        """Whether the kernel counts the calling thread's waiting."""
        return self._caller is not None

    def read(self) -> Waited:
        """Return the counters now; zeros where the kernel does not count."""
        if self._caller is None:
            return Waited(0, 0)
        caller = self._of(self._caller)
        return Waited(caller, caller + sum(map(self._of, self._others)))

    def close(self) -> None:
        """Close the files."""
        for file in (self._caller, *self._others):
            if file is not None:
                os.close(file)
        self._caller, self._others = None, []

    def _open(self, thread: Path) -> None:
        try:
            file = os.open(thread / "schedstat", os.O_RDONLY)
        except (FileNotFoundError, ProcessLookupError):
            return  # it ended while the list was read, or the kernel does not count
        if thread.name == str(threading.get_native_id()):
            self._caller = file
        else:
            self._others.append(file)

    def _counts(self) -> bool:
        """Return whether the kernel counts what it shows: one that could but does not shows zeros of a running thread.

        Source: fs/proc/base.c, sched_info_on(): without CONFIG_SCHEDSTATS, as long as delayacct is off.
        """
        return self._caller is not None and os.pread(self._caller, 64, 0).split()[0] != b"0"

    def _of(self, file: int) -> int:
        with suppress(ProcessLookupError):  # of a thread that has ended: it waits no more
            self._last[file] = int(os.pread(file, 64, 0).split()[1])
        return self._last.get(file, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
