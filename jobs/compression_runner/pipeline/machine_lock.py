"""Serialize local runs on one machine: no run measures while another one measures or compresses.

Compressing holds a shared lock, and measuring an exclusive one (flock(2)), so the kernel releases it when a run dies. A
second lock is a gate: a run that waits to measure holds it, and runs that start to compress wait for it, so that they
cannot starve the measuring run.

All users share one file, in a directory that all can write to. The process that creates it sets content and read
permission atomically; others open it for reading only, which flock needs and fs.protected_regular allows.
"""

import fcntl
import logging
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from compression_runner.evaluation.machine.cpus import CpuReservation
from compression_runner.telemetry.progress import RunProgress

LOG: Final = logging.getLogger(__name__)
LOCK_VARIABLE: Final = "COMPRESSION_LOCK"
"""The lock's file, PLACE by default. Containers on one machine take turns if they share it."""
PLACE: Final = "/tmp/compression-runner.lock"
LOCKS: Final = Path("/proc/locks")
WAITING: Final = "wait"
"""The phase in which a run waits."""
_CONTENT: Final = b"compression-runner: runs on this machine take turns by a lock on this file. It may be removed.\n"


class TurnLock(Protocol):
    """Prevents runs from disturbing each other's measurements. `waited` is the waiting time so far, in seconds."""

    @property
    def reservation(self) -> CpuReservation:
        """How the CPUs are isolated from other processes."""

    @property
    def waited(self) -> float:
        """Seconds that the run has waited."""

    def compressing(self) -> AbstractContextManager[None]:
        """Allow no other run to measure during the block."""

    def measuring(self) -> AbstractContextManager[None]:
        """Allow no other run to measure or compress during the block."""


class NoTurns:
    """No lock: other processes are kept away in another way, or not at all."""

    waited = 0.0

    def __init__(self, notes: tuple[str, ...] = ()) -> None:
        self.reservation = CpuReservation(notes=notes)

    @contextmanager
    def compressing(self) -> Iterator[None]:
        """Do not wait."""
        yield

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Do not wait."""
        yield


class MachineLock:
    """The lock of all runs on this machine; `progress` shows a phase while it waits.

    Raises OSError if the lock file can be neither opened nor created.
    """

    reservation = CpuReservation("Turns")

    def __init__(self, place: Path, progress: RunProgress) -> None:
        self.waited = 0.0
        self._progress = progress
        self._turn = _LockFile(place)
        self._gate = _LockFile(place.with_name(f"{place.name}.next"))
        self._measures = False

    @contextmanager
    def compressing(self) -> Iterator[None]:
        """Hold the shared lock. Within `measuring`, it is already held."""
        if self._measures:
            yield
            return
        with self._held(fcntl.LOCK_SH):
            yield

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Hold the exclusive lock."""
        with self._held(fcntl.LOCK_EX):
            self._measures = True
            try:
                yield
            finally:
                self._measures = False

    @contextmanager
    def _held(self, operation: int) -> Iterator[None]:
        with ExitStack() as waiting:
            begin = _Waiting(self._progress, waiting)
            self._gate.lock(operation, lambda holders: begin(self._next(holders)))
            try:
                self._turn.lock(operation, lambda holders: begin(_busy(holders)))
            finally:
                self._gate.unlock()
            waiting.close()
            self.waited += begin.seconds
            try:
                yield
            finally:
                self._turn.unlock()

    def _next(self, holders: Mapping[int, bool]) -> str:
        """Return why the gate is closed: a run waits to measure, or runs queue while another one measures."""
        if any(holders.values()):
            return f"{_processes(holders)} measures next"
        return _busy(self._turn.holders())


def turn_lock(environment: Mapping[str, str], progress: RunProgress) -> TurnLock:
    """Return the lock of this machine's runs, or NoTurns with a note if its file cannot be created or locked."""
    place = Path(environment.get(LOCK_VARIABLE, PLACE))
    try:
        return MachineLock(place, progress)
    except OSError as error:
        problem = os.strerror(error.errno) if error.errno else "not a file that can be locked"
        note = f"other local runs may have measured at the same time: no turns are taken by {place} ({problem})"
        LOG.warning("%s; set %s to a file that all users can read", note, LOCK_VARIABLE)
        return NoTurns((note,))


class _Waiting:
    """The waiting phase of a run; it begins with the first lock that is not free."""

    def __init__(self, progress: RunProgress, stack: ExitStack) -> None:
        self._progress, self._stack = progress, stack
        self._start: float | None = None
        self._advance: Callable[[float, str], None] = lambda share, detail: None

    def __call__(self, reason: str) -> None:
        if self._start is None:
            self._start = time.monotonic()
            LOG.info("waiting for its turn on this machine: %s", reason)
            self._advance = self._stack.enter_context(self._progress.phase(WAITING))
        self._advance(0.0, reason)

    @property
    def seconds(self) -> float:
        return 0.0 if self._start is None else time.monotonic() - self._start


class _LockFile:
    """A file with a lock."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._descriptor = _open(place)
        try:
            # Detect a file system without locks now, not in the middle of a run. NFS allows shared locks only on a file
            # that is open for reading (nfs(5)): its flock is fcntl's.
            for operation in (fcntl.LOCK_SH, fcntl.LOCK_EX):
                with suppress(BlockingIOError):
                    fcntl.flock(self._descriptor, operation | fcntl.LOCK_NB)
                self.unlock()
        except OSError:
            os.close(self._descriptor)
            raise

    def lock(self, operation: int, waits: Callable[[Mapping[int, bool]], None]) -> None:
        """Wait for the lock. If it is not free, first call `waits` with the processes that hold it."""
        while True:
            try:
                fcntl.flock(self._descriptor, operation | fcntl.LOCK_NB)
            except BlockingIOError:
                waits(self.holders())
                fcntl.flock(self._descriptor, operation)
            if not self._replaced():
                return

    def holders(self) -> dict[int, bool]:
        """Return the processes that hold the lock, as far as known, each with whether its lock is exclusive."""
        about = os.fstat(self._descriptor)
        file = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
        holders: dict[int, bool] = {}
        with suppress(OSError):
            for fields in map(str.split, LOCKS.read_text().splitlines()):
                # "1: FLOCK ADVISORY WRITE 7256 fe:00:10002436 0 EOF"; a waiting process has "->" in the second column.
                if len(fields) >= 6 and fields[1] == "FLOCK" and fields[5] == file and int(fields[4]) > 0:
                    holders[int(fields[4])] = fields[3] == "WRITE"
        return holders

    def unlock(self) -> None:
        """Release the lock."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _replaced(self) -> bool:
        """Reopen the file if it was replaced: a lock on a removed file excludes no other run.

        If reopening fails, keep the lock on the old file.
        """
        with suppress(OSError):
            current = _open(self._place)
            if not os.path.samestat(os.fstat(current), os.fstat(self._descriptor)):
                os.close(self._descriptor)
                self._descriptor = current
                return True
            os.close(current)
        return False


def _open(place: Path) -> int:
    """Open the file for reading, and create it if it is missing. Raises OSError unless it is a regular file."""
    while True:
        try:
            # A FIFO would wait for a writer, and a link could lead to any file.
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            _create(place)
            continue
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(f"{place} is no regular file")
        # Reading updates the access time: systemd-tmpfiles removes old files from /tmp.
        os.read(descriptor, 1)
        return descriptor


def _create(place: Path) -> None:
    """Create the file atomically, readable by all users regardless of the umask."""
    with tempfile.NamedTemporaryFile(dir=place.parent, prefix=f".{place.name}-") as fresh:
        fresh.write(_CONTENT)
        fresh.flush()
        os.fchmod(fresh.fileno(), 0o644)
        with suppress(FileExistsError):
            os.link(fresh.name, place)


def _busy(holders: Mapping[int, bool]) -> str:
    measures = any(holders.values())
    verb = "measures" if measures else "compresses" if len(holders) == 1 else "compress"
    return f"{_processes(holders)} {verb if holders else 'measures or compresses'}"


def _processes(holders: Mapping[int, bool]) -> str:
    numbers = ", ".join(str(number) for number in sorted(holders))
    return f"process{'es' if len(holders) > 1 else ''} {numbers}" if holders else "another run"
