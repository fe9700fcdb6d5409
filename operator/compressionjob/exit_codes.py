"""Exit codes of the runner. A pod failure policy can read nothing else."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Why the runner ended. The podFailurePolicy of the child Job and the operator use the same table."""

    DONE = 0
    """There is a verdict: any verdict in a pod, Pass or NoLimits on the command line."""
    UNEXPECTED = 1
    """Unexpected error; counted and retried."""
    INVALID = 2
    """The spec or the input is not valid. Retrying does not help."""
    NOT_MET = 3
    """Command line only: the verdict is Fail or Inconclusive."""
    STORAGE = 4
    """A store was unreachable, slow or broken; counted and retried with backoff."""
    RECIPE = 5
    """The method does not support the model."""
    DISK_FULL = 7
    """The work directory or the destination is full."""
    KILLED = 137
    """SIGKILL. The kubelet adds the reason OOMKilled when the memory limit caused it."""
    TERMINATED = 143
    """SIGTERM: eviction, deletion, suspension, preemption."""


PERMANENT: frozenset[ExitCode] = frozenset({ExitCode.INVALID, ExitCode.RECIPE, ExitCode.DISK_FULL})
"""Codes after which another attempt would end the same way. SIGKILL is not one of them: a node that restarts or runs
out of memory sends it too, and so does a grace period that was too short."""
