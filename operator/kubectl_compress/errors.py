"""Errors of the plugin, each with a message and an exit status.

PluginError
|-- Invalid           an argument, a manifest or the state of a job
|   `-- InvalidManifest  problems of one manifest, field by field
|-- DownloadFailed    a report that could not be fetched
|-- TimedOut          --timeout has passed
`-- ClusterError      an error of kubectl
    |-- NotFound
    |-- AlreadyExists
    |-- Forbidden
    `-- Unreachable   no answer, or a transient error
"""

from collections.abc import Sequence

from compressionjob.errors import FieldProblem
from kubectl_compress.exit_codes import ExitCode


class PluginError(Exception):
    """A command failed; ``remedy`` is the next step for the user."""

    status = ExitCode.REFUSED

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


class Invalid(PluginError):
    """The request is invalid: a retry would not help."""

    status = ExitCode.INVALID


class InvalidManifest(Invalid):
    """A manifest that the contract refuses."""

    def __init__(self, origin: str, problems: Sequence[FieldProblem]) -> None:
        super().__init__(f"{origin} is not a valid CompressionJob")
        self.problems = tuple(problems)


class DownloadFailed(PluginError):
    """A report does not exist or cannot be read from here."""


class TimedOut(PluginError):
    """The job did not end within --timeout."""

    status = ExitCode.TIMEOUT


class ClusterError(PluginError):
    """kubectl failed; the problem is its message."""


class NotFound(ClusterError):
    """The object does not exist."""


class AlreadyExists(ClusterError):
    """An object of that name exists."""


class Forbidden(ClusterError):
    """The user lacks permissions."""


class Unreachable(ClusterError):
    """The API server did not answer, or asked to come back later."""
