"""How long the threads of this process were ready to run and had no CPU, read between two queries.

The kernel counts it for each thread (proc(5), schedstat, second field). The latency of a query without other processes
has two bounds:

- Lower bound: the latency minus the waiting of all threads. A thread that is delayed by d delays the query by at most
  d: the others go on or wait for it.
- Upper bound: the latency minus the waiting of the calling thread, if the engine works in that thread alone. Then the
  query makes no progress while the thread waits.

Effects of other processes on caches, memory bandwidth and clock frequency are not visible here.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

TASKS = Path("/proc/self/task")


class Waited(NamedTuple):
    """Nanoseconds that the calling thread, and all threads together, were ready and had no CPU since their start."""

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
        except OSError:  # more threads than this process may open files: a partial sum is no bound
            self.close()
        if not self._counts():
            self.close()

    @property
    def available(self) -> bool:
        """Whether the kernel counts the calling thread's waiting."""
        return self._caller is not None

    def read(self) -> Waited:
        """Return the counters now; zeros if the kernel does not count."""
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
        """Return whether the kernel counts: if schedstat exists but is off, it has zeros for a running thread.

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
