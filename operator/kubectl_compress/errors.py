"""What can go wrong, each with a sentence for people and an exit status.

PluginError
|-- Invalid           an argument, a manifest or the state of a job
|   `-- InvalidManifest  problems of one manifest, field by field
|-- DownloadFailed    a report that could not be fetched
|-- TimedOut          --timeout was over first
`-- ClusterError      what kubectl said
    |-- NotFound
    |-- AlreadyExists
    |-- Forbidden
    `-- Unreachable   no answer, or one that may be another in a moment
"""

from collections.abc import Sequence

from compressionjob.errors import FieldProblem
from kubectl_compress.exit_codes import ExitCode


class PluginError(Exception):
    """A command cannot do what was asked; ``remedy`` is what to do about it."""

    status = ExitCode.REFUSED

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


class Invalid(PluginError):
    """What was asked makes no sense, however often it is tried."""

    status = ExitCode.INVALID


class InvalidManifest(Invalid):
    """A manifest that the contract refuses."""

    def __init__(self, origin: str, problems: Sequence[FieldProblem]) -> None:
        super().__init__(f"{origin} is not a valid CompressionJob")
        self.problems = tuple(problems)


class DownloadFailed(PluginError):
    """A report is not there or cannot be read from here."""


class TimedOut(PluginError):
    """The job went on for longer than the caller wanted to wait."""

    status = ExitCode.TIMEOUT


class ClusterError(PluginError):
    """kubectl could not do it; the problem is in its words."""


class NotFound(ClusterError):
    """There is no such object."""


class AlreadyExists(ClusterError):
    """An object of that name is there."""


class Forbidden(ClusterError):
    """The user lacks the rights."""


class Unreachable(ClusterError):
    """The API server did not answer, or asked to come back later."""
