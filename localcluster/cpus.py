"""CPU assignment: pods that request whole CPUs get them exclusively, and the control plane does not use them."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

_SYSTEM: Final = 0
"""The lowest CPU, which the kubelet reserves for the system."""


def manager() -> dict[str, Any]:
    """Return the kubelet's settings for the static CPU manager, which needs a second CPU for pods.

    The kubelet keeps a whole CPU for the system, but subtracts only kubeReserved from the CPU that pods may request. So
    pods without whole CPUs can use the rest of that CPU.
    """
    if not _enough():
        return {}
    return {"cpuManagerPolicy": "static", "kubeReserved": {"cpu": "50m"}}


def chart_arguments() -> list[str]:
    """Return Helm's arguments; on a machine without exclusive CPUs they remove StaticCPUs from the runtime."""
    changed = ("measuring.isolation=Shared", "resources.requests.cpu=500m")
    return [] if _enough() else [word for value in changed for word in ("--set", f"runtimes.cpu.{value}")]


def on_system_cpu(argv: Sequence[str | Path]) -> list[str]:
    """Return a command line that keeps a process off the CPUs that the kubelet assigns to pods."""
    prefix = ["taskset", "--cpu-list", str(_SYSTEM)] if _enough() else []
    return [*prefix, *(str(word) for word in argv)]


def _enough() -> bool:
    """Return whether there is a CPU for pods. The kubelet counts the machine's CPUs, so all must be usable."""
    machine = os.cpu_count() or 1
    return 1 < machine == len(os.sched_getaffinity(0))
