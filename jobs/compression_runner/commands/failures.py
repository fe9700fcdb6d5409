"""Error messages and exit statuses of the command line."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from compression_runner.errors import RunnerError
from compressionjob.errors import InvalidSpec
from compressionjob.exit_codes import ExitCode

LOG: Final = logging.getLogger("compression_runner")


class Ended(Exception):
    """A command is over, with its exit status."""

    def __init__(self, status: ExitCode) -> None:
        super().__init__(status.name)
        self.status = status


@contextmanager
def explained() -> Iterator[None]:
    """Log field, value, problem and remedy of an error, and raise Ended with its exit status."""
    try:
        yield
    except InvalidSpec as error:
        for problem in error.problems:
            LOG.error("error: %s", problem, extra={"reason": "InvalidSpec", "field": problem.field})
        raise Ended(ExitCode.INVALID) from error
    except RunnerError as error:
        about = {"reason": error.reason, "field": error.field, "value": error.value}
        LOG.error("error: %s (%s): %s\n  to do: %s", error.field, error.value, error.problem, error.remedy, extra=about)
        raise Ended(error.exit_code) from error
