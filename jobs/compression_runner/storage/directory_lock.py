"""One writer at a time at a directory: a lock beside it, which the kernel frees when its holder dies."""

import errno
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

SUFFIX: Final = "-writer.lock"
# What file systems without locks answer.
WITHOUT: Final = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL, errno.EBADF)


class Locked(Exception):
    """Another process writes there; its text says which."""


@contextmanager
def locked(root: Path, job: str) -> Iterator[bool]:
    """Holds the lock beside `root`. Yields False on a file system that has no locks.

    Raises Locked where a living process holds it.
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
        # While it is held: who opened it meanwhile sees that it is gone, and opens the next one.
        with suppress(OSError):
            place.unlink()
        os.close(descriptor)


def _take(place: Path) -> int | None:
    """The lock file, open and locked; None where the file system has no locks."""
    while True:
        # No symlink: it could lead to any file. For all users: who comes after a killed one may be another.
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
    """Whether the open file is still the one at its path: the holder before may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), place.stat())
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    try:
        about = json.loads(os.pread(descriptor, 4096, 0))
        who = f"the job with uid {about['job']}" if about["job"] else "a local run"
        return f"{who} is publishing there (process {about['pid']} on {about['host']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process is publishing there"
