"""Errors that end a run; each names the field, the value and the remedy.

RunnerError
|-- InvalidInput       2: the specification, or an input that it names, is invalid; a retry does not help
|-- BadRecipe          5: the method cannot do this to this model
|-- StorageUnavailable 4: a store is unreachable, slow or broken; a retry may succeed
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
"""Exceptions of a library that runs the code of an unsuitable model; libraries do not document which ones.

They are caught around such a call only. A full disk (OSError) is not among them.
"""
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class RunnerError(Exception):
    """An error that ends a run; `reason` is the one of status and report."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNEXPECTED

    def __init__(self, reason: str, field: str, value: object, problem: str, remedy: str) -> None:
        self.reason = reason
        self.field = field
        self.value = str(value) if len(str(value)) <= MAX_VALUE else f"{str(value)[:MAX_VALUE]}..."
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{field}: {self.value!r}: {problem}; {remedy}")


class Problem(Exception):
    """A problem that the caller reports with its field, value and remedy."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        super().__init__(problem)


class InvalidInput(RunnerError):
    """The specification, or an input that it names, is invalid; a retry does not help."""

    exit_code = ExitCode.INVALID


class BadRecipe(RunnerError):
    """A method of the pipeline cannot do this to this model."""

    exit_code = ExitCode.RECIPE


class StorageUnavailable(RunnerError):
    """A store is unreachable, slow or broken; a retry may succeed."""

    exit_code = ExitCode.STORAGE


class DiskFull(RunnerError):
    """The work directory or the destination has no room."""

    exit_code = ExitCode.DISK_FULL


def cause(error: BaseException) -> str:
    """Return the first error of a chain in one line; the errors that wrap it only name the step.

    Lines that only name a place in a library's code are left out; OpenVINO begins with them. If the text is a bare key
    or name, the error's type comes first.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [" ".join(line.split()) for line in str(error).splitlines()]
    filled = [line for line in lines if line]
    text = next((line for line in filled if not PLACE_IN_CODE.fullmatch(line)), next(iter(filled), ""))
    if not text or isinstance(error, KeyError | AttributeError):
        text = f"{type(error).__name__} {text}".strip()
    return text if len(text) <= MAX_CAUSE else f"{text[: MAX_CAUSE - 3]}..."


def taken(field: str, url: str, who: str) -> StorageUnavailable:
    """Return the error of a writer whose destination another writer holds; a retry may succeed."""
    problem = f"{who}; this pod has stopped and left it alone"
    return StorageUnavailable("DestinationTaken", field, url, problem, "give each job a destination of its own")


@contextmanager
def room_on(place: str | os.PathLike[str], field: str, remedy: str) -> Iterator[None]:
    """Convert the operating system's "no space left" while writing below `place` into DiskFull.

    safetensors raises its own error for it, even if another library writes the file.
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
    """Return the errno of a lack of space (space, quota or file size limit); None for another error."""
    if isinstance(error, OSError):
        return error.errno if error.errno in FULL else None
    return next((number for number in FULL if f"os error {number}" in str(error)), None)


WORK_REMEDY: Final = "give the work directory more room (the runtime's work volume, or --workdir)"
