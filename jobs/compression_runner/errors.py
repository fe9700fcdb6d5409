"""What ends a run, as types that name field, value and remedy.

RunnerError
|-- InvalidInput       2: the specification or what it points at cannot work, however often it is tried
|-- BadRecipe          5: the method cannot do this to this model
|-- StorageUnavailable 4: a store is away, slow or broken; another try may succeed
`-- DiskFull           7: the work directory or the destination has no room
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

from compressionjob.exit_codes import ExitCode

MAX_VALUE: Final = 200


class RunnerError(Exception):
    """A run that cannot go on, with the reason that status and report show."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNEXPECTED

    def __init__(self, reason: str, field: str, value: object, problem: str, remedy: str) -> None:
        self.reason = reason
        self.field = field
        self.value = str(value) if len(str(value)) <= MAX_VALUE else f"{str(value)[:MAX_VALUE]}..."
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{field}: {self.value!r}: {problem}; {remedy}")


class InvalidInput(RunnerError):
    """The specification or what it points at cannot work, however often it is tried."""

    exit_code = ExitCode.INVALID


class BadRecipe(RunnerError):
    """A method of the pipeline cannot do this to this model."""

    exit_code = ExitCode.RECIPE


class StorageUnavailable(RunnerError):
    """A store is away, slow or broken; another try may succeed."""

    exit_code = ExitCode.STORAGE


class DiskFull(RunnerError):
    """The work directory or the destination has no room."""

    exit_code = ExitCode.DISK_FULL


@contextmanager
def room_on(place: str | os.PathLike[str], field: str, remedy: str) -> Iterator[None]:
    """Turns the operating system's "no space left" while writing below `place` into DiskFull."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        problem = f"no space left ({os.strerror(error.errno or 0)})"
        raise DiskFull("DiskFull", field, os.fspath(place), problem, remedy) from error


def is_full(error: OSError) -> bool:
    """Whether the operating system refused a write for want of room (space, quota or file size limit)."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


WORK_REMEDY: Final = "give the work directory more room (the runtime's work volume, or --workdir)"
