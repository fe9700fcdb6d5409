"""Exit codes of ``kubectl compress``, for scripts."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The outcome of a command. 0, 1, 2 and 3 have the same meaning as for ``compression-runner run``."""

    DONE = 0
    """Success; for a followed job: published with the verdict Pass or NoLimits, or approved by a reviewer."""
    REFUSED = 1
    """The cluster or the object store refused or did not answer, or an unexpected error occurred."""
    INVALID = 2
    """An argument or a manifest is invalid, or the job is not in a state for this command."""
    NOT_MET = 3
    """The job ended with the verdict Fail or Inconclusive, or a reviewer rejected it."""
    NO_VERDICT = 4
    """The job failed before its verdict."""
    AWAITING_REVIEW = 5
    """The job waits for a review."""
    TIMEOUT = 124
    """--timeout passed before the job ended; the same status as timeout(1)."""
    INTERRUPTED = 130
    """Ctrl-C."""
