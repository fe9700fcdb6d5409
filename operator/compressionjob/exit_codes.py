"""Exit codes of the runner: the only thing a pod failure policy can look at."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Why the runner ended. The child Job's podFailurePolicy and the operator read the same table."""

    DONE = 0
    """A verdict was reached (in a pod: whatever the verdict; on the command line: it is Pass or NoLimits)."""
    UNEXPECTED = 1
    """Anything not foreseen; counted and tried again."""
    INVALID = 2
    """The specification or the input cannot work, however often it is tried."""
    NOT_MET = 3
    """Command line only: the verdict is Fail or Inconclusive."""
    STORAGE = 4
    """A store was away, slow or broken; counted and tried again with backoff."""
    RECIPE = 5
    """The method cannot do this to this model."""
    DISK_FULL = 7
    """The work directory or the destination has no room."""
    KILLED = 137
    """SIGKILL; the kubelet adds the reason OOMKilled when it was the memory limit."""
    TERMINATED = 143
    """SIGTERM: eviction, deletion, suspension, preemption."""


PERMANENT: frozenset[ExitCode] = frozenset({ExitCode.INVALID, ExitCode.RECIPE, ExitCode.DISK_FULL})
"""Codes after which another try would end the same way. SIGKILL is none of them: a node that restarts or runs out of
memory kills as well, and so does a grace period that was too short."""
