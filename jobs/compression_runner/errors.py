"""What ends a run, as types that name field, value and remedy.

RunnerError
|-- InvalidInput       2: the specification or what it points at cannot work, however often it is tried
|-- BadRecipe          5: the method cannot do this to this model
|-- StorageUnavailable 4: a store is away, slow or broken; another try may succeed
`-- DiskFull           7: the work directory or the destination has no room
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Final

from safetensors import SafetensorError

from compressionjob.exit_codes import ExitCode

MAX_VALUE: Final = 200
MAX_CAUSE: Final = 300
PLACE_IN_CODE: Final = re.compile(r"(Exception from|.*\bfailed (at|with)) \S+:")
LIBRARY_ERRORS: Final = (
    ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""What a library raises when it runs the code of a model that does not suit it: which of them, no library says.

They are caught where such a library is called, around this call alone. A full disk (OSError) is not among them.
"""
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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


def cause(error: BaseException) -> str:
    """Return what began a chain of errors, in one line: what wraps it says which step it was, and not why.

    Lines that name a place in a library's code alone are left out, as OpenVINO begins with them. The error's name goes
    first where the text alone is a bare key or name.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    said = [line for line in lines if line]
    text = next((line for line in said if not PLACE_IN_CODE.fullmatch(line)), next(iter(said), ""))
    if not text or isinstance(error, KeyError | AttributeError):
        text = f"{type(error).__name__} {text}".strip()
    return text if len(text) <= MAX_CAUSE else f"{text[: MAX_CAUSE - 3]}..."


def taken(field: str, url: str, who: str) -> StorageUnavailable:
    """What ends a writer at a location that another one has: a later try may succeed."""
    problem = f"{who}; this pod has stopped and left it alone"
    return StorageUnavailable("DestinationTaken", field, url, problem, "give each job a destination of its own")


@contextmanager
def room_on(place: str | os.PathLike[str], field: str, remedy: str) -> Iterator[None]:
    """Turns the operating system's "no space left" while writing below `place` into DiskFull.

    safetensors has an error of its own for it, whoever of the libraries writes the file.
    """
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = _full(error)
        if number is None:
            raise
        problem = f"no space left ({os.strerror(number)})"
        raise DiskFull("DiskFull", field, os.fspath(place), problem, remedy) from error


def _full(error: OSError | SafetensorError) -> int | None:
    """The number of an error for want of room (space, quota or file size limit), None where it is another."""
    if isinstance(error, OSError):
        return error.errno if error.errno in FULL else None
    return next((number for number in FULL if f"os error {number}" in str(error)), None)


WORK_REMEDY: Final = "give the work directory more room (the runtime's work volume, or --workdir)"
