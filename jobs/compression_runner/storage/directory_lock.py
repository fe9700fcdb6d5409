"""One writer at a time in a directory: a lock file next to it, which the kernel releases when its holder dies."""

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from compression_runner.errors import Problem

SUFFIX: Final = "-writer.lock"
# Errors of file systems without locks.
WITHOUT: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.EBADF)


class Locked(Problem):
    """Another process writes there; the problem names it."""


@contextmanager
def locked(root: Path, job: str) -> Iterator[bool]:
    """Hold the lock of `root`. Yields False on a file system without locks.

    Raises Locked if a living process holds it.
    """
    place = root.with_name(f".{root.name}{SUFFIX}")
    descriptor = _take(place)
    if descriptor is None:
        yield False
        return
    try:
        about = {"job": job, "host": socket.gethostname(), "pid": os.getpid()}
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps(about).encode())
        yield True
    finally:
        # Unlink while it is held: a process that has opened it sees that it is gone, and opens the next one.
        with suppress(OSError):
            place.unlink()
        os.close(descriptor)


def _take(place: Path) -> int | None:
    """Open and lock the lock file; None if the file system has no locks."""
    while True:
        # No symlink: it could lead to any file. Writable by all: the pod after a killed one may have another user.
        try:
            descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            place.unlink()
            continue
        with suppress(OSError):
            os.fchmod(descriptor, 0o666)
        kept = False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            kept = _is_at(place, descriptor)
            if kept:
                return descriptor
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise Locked(_holder(descriptor)) from error
            if error.errno not in WITHOUT:
                raise
            with suppress(OSError):
                place.unlink()
            return None
        finally:
            if not kept:
                os.close(descriptor)


def _is_at(place: Path, descriptor: int) -> bool:
    """Return whether the open file is still the one at its path: an earlier holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), place.stat())
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    try:
        about = json.loads(os.pread(descriptor, 4096, 0))
        writer = f"the job with uid {about['job']}" if about["job"] else "a local run"
        return f"{writer} is publishing there (process {about['pid']} on {about['host']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process is publishing there"
