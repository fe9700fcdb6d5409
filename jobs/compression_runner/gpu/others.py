"""Other processes on a GPU, as far as the driver shows them."""

from collections.abc import Set
from dataclasses import dataclass
from typing import Final

from compression_runner.gpu.card import GpuState

CONTEXT_BYTES: Final = 1 << 30
"""Memory that CUDA and its libraries may take for this process besides tensors: only more than that is others'."""


@dataclass(frozen=True)
class Others:
    """Other processes at one moment; a value that the driver does not show is None.

    `share` is the share of the GPU's time in which their kernels ran, from 0 to 1. `hidden_bytes` is memory that no
    listed process has.
    """

    processes: int | None = None
    share: float | None = None
    hidden_bytes: int | None = None


def others_on(state: GpuState, mine: Set[int], own_processes: int) -> Others:
    """Return the processes that are not `mine`, of which `own_processes` use the GPU.

    A list without the own pids may have them under pids of the machine. An empty list has no information: containers
    see it if the driver does not know their pids.
    """
    return Others(other_processes(state, mine, own_processes), _share(state, mine, own_processes), _hidden_bytes(state))


def other_processes(state: GpuState, mine: Set[int], own_processes: int) -> int | None:
    """Return how many other processes compute; None if unknown."""
    if not state.processes:
        return None
    others = sum(pid not in mine for pid, _ in state.processes)
    return others if others < len(state.processes) else max(0, others - own_processes)


def _share(state: GpuState, mine: Set[int], own_processes: int) -> float | None:
    """Return the share of others; at most that if the own pids are not listed.

    It is then not known which entries are the own ones. Those with the smallest shares leave the most to others.
    """
    if state.shares is None:
        return None
    listed = mine & ({pid for pid, _ in state.processes or ()} | state.shares.keys())
    foreign = sorted((share for pid, share in state.shares.items() if pid not in mine), reverse=True)
    return min(1.0, sum(foreign if listed else foreign[: max(0, len(foreign) - own_processes)]))


def _hidden_bytes(state: GpuState) -> int | None:
    """Return memory that no process of the list has; None if the list is empty or has no sizes."""
    sizes = [size for _, size in state.processes or ()]
    if state.used_bytes is None or not sizes:
        return None
    known = [size for size in sizes if size is not None]
    hidden = state.used_bytes - sum(known)
    if len(known) < len(sizes):
        return None
    return hidden if hidden > CONTEXT_BYTES else 0
