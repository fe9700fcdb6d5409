"""Which CPUs are whose: pods that ask for whole CPUs get them for themselves, and the control plane keeps off them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

_SYSTEM: Final = 0
"""The CPU that the kubelet never gives away: it reserves the lowest."""


def manager() -> dict[str, Any]:
    """Return the kubelet's settings: the static CPU manager, which needs a second CPU to give away.

    The kubelet keeps a whole CPU for the system, and subtracts only what is written here from what pods may request. So
    pods without whole CPUs may use the rest of that CPU.
    """
    if not _enough():
        return {}
    return {"cpuManagerPolicy": "static", "kubeReserved": {"cpu": "50m"}}


def chart_arguments() -> list[str]:
    """Return Helm's arguments for a machine whose kubelet gives no CPUs away: no runtime may promise them there."""
    changed = ("measuring.isolation=Shared", "resources.requests.cpu=500m")
    return [] if _enough() else [word for value in changed for word in ("--set", f"runtimes.cpu.{value}")]


def on_system_cpu(argv: Sequence[str | Path]) -> list[str]:
    """Return a command line that keeps a process off the CPUs that the kubelet may give away."""
    prefix = ["taskset", "--cpu-list", str(_SYSTEM)] if _enough() else []
    return [*prefix, *(str(word) for word in argv)]


def _enough() -> bool:
    """Whether there is a CPU to give away. The kubelet counts those of the machine: all of them must be ours."""
    machine = os.cpu_count() or 1
    return 1 < machine == len(os.sched_getaffinity(0))
