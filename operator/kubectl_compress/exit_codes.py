"""Exit codes of ``kubectl compress``: what a script can tell apart."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended. 0, 1, 2 and 3 mean what they mean for ``compression-runner run``."""

    DONE = 0
    """Done; of a job that was waited for: published with the verdict Pass or NoLimits, or approved by a person."""
    REFUSED = 1
    """The cluster or the object store refused or did not answer, or anything else that was not foreseen."""
    INVALID = 2
    """An argument or a manifest is wrong, or the job is not in a state for this command."""
    NOT_MET = 3
    """The job ended with the verdict Fail or Inconclusive, or a person rejected it."""
    NO_VERDICT = 4
    """The job failed before there was a verdict."""
    AWAITING_REVIEW = 5
    """The job waits for a person to approve or reject it."""
    TIMEOUT = 124
    """--timeout was over before the job was, as timeout(1) says it."""
    INTERRUPTED = 130
    """Ctrl-C."""
