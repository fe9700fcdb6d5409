"""The CPUs that models are measured with: one of each physical core, as many as the process may use.

The threads of one core (hyperthreads) share its execution units, so they count as one CPU.
Sources: kernel.org, Documentation/admin-guide/cputopology.rst; sched_setaffinity(2); kubernetes.io, "Control CPU
Management Policies on the Node".
"""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final, Literal

from compression_runner.errors import InvalidInput
from compressionjob import measuring
from compressionjob.measuring import NODE, SHARED, STATIC_CPUS
from compressionjob.report import Environment

CGROUP: Final = Path("/sys/fs/cgroup")
TOPOLOGY: Final = Path("/sys/devices/system/cpu")

Isolation = measuring.Isolation | Literal["Turns"]
"""What keeps other work off the CPUs: in a pod the runtime's isolation, else a lock between local runs."""


@dataclass(frozen=True)
class CpuReservation:
    """How the CPUs of this process are isolated, and how many whole CPUs its container requests.

    `notes` go into the report.
    """

    isolation: Isolation = SHARED
    cpus: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def guaranteed(self) -> bool:
        """Whether the platform reserves the CPUs, so that the process cannot use others."""
        return self.isolation in (STATIC_CPUS, NODE)


@dataclass(frozen=True)
class MeasuringCpus:
    """The CPUs that models are measured with, and the threads of one inference.

    `pins`: whether to pin the process to them. Without isolation, all pods on a node would choose the same few.
    """

    numbers: tuple[int, ...]
    threads: int
    isolation: Isolation
    pins: bool
    notes: tuple[str, ...]

    def described_in(self, environment: Environment, *, pinned: bool) -> Environment:
        """Add these CPUs to the conditions of a measurement."""
        refused = self.pins and not pinned
        notes = [*self.notes, *(["this machine does not let a process choose its CPUs: not pinned"] if refused else [])]
        return environment.model_copy(
            update={
                "measured_cpus": cpu_list(self.numbers),
                "isolation": self.isolation,
                "pinned": pinned,
                "notes": [*environment.notes, *notes],
            }
        )


def choose_cpus(
    threads: int | None,
    reservation: CpuReservation = CpuReservation(),
    cgroup: Path = CGROUP,
    topology: Path = TOPOLOGY,
) -> MeasuringCpus:
    """Return the CPUs for `threads` threads; by default one CPU of each core, as many as the cgroup allows.

    Raises InvalidInput for more threads than reserved CPUs. Without a reservation, more threads than CPUs only add a
    note.
    """
    cores = cpu_cores(allowed_cpus(), topology)
    available = min(len(cores), usable_cpus(cgroup))
    if reservation.guaranteed and reservation.cpus is not None:
        available = min(available, reservation.cpus)
    requested = threads or available
    notes = list(reservation.notes)
    if requested > available:
        problem = f"{_cpus(available)} can be measured with (the threads of one core count as one CPU)"
        if reservation.guaranteed:
            remedy = f"set it to {available} at most, or name a runtime that requests more CPUs"
            raise InvalidInput("TooManyThreads", "spec.benchmark.threads", requested, f"only {problem}", remedy)
        notes.append(f"spec.benchmark.threads is {requested}, and {problem}: threads share CPUs")
    first_of_each = [cpu for turn in zip_longest(*cores) for cpu in turn if cpu is not None]
    numbers = tuple(sorted(first_of_each[:requested]))
    pins = reservation.isolation != SHARED or len(numbers) >= len(cores)
    return MeasuringCpus(numbers, requested, reservation.isolation, pins, tuple(notes))


def require_exclusive(reservation: CpuReservation, field: str) -> None:
    """Check that a pod whose runtime promises exclusive CPUs has them: its cpuset equals its request.

    `field` names the runtime. Raises InvalidInput.
    """
    if reservation.isolation != STATIC_CPUS or reservation.cpus is None:
        return
    given = len(allowed_cpus())
    if given != reservation.cpus:
        problem = f"the node's kubelet gave a cpuset of {_cpus(given)}, and {reservation.cpus} must be exclusive"
        remedy = "set cpuManagerPolicy: static on the node, or isolation Node in the runtime"
        raise InvalidInput("CPUsNotExclusive", field, reservation.isolation, problem, remedy)


def allowed_cpus() -> set[int]:
    """Return the CPUs that the calling thread may run on; all of them on a system without affinity."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def usable_cpus(cgroup: Path = CGROUP) -> int:
    """Return how many CPUs this process may use: its affinity, limited by the cgroup's quota."""
    allowed, quota = len(allowed_cpus()), _quota(cgroup)
    return max(1, min(allowed, int(quota))) if quota else allowed


def cpu_cores(allowed: Iterable[int], topology: Path = TOPOLOGY) -> list[tuple[int, ...]]:
    """Group the allowed CPUs by physical core; each CPU is its own core if the machine does not report cores."""
    cores: dict[tuple[int, ...], list[int]] = {}
    for cpu in sorted(allowed):
        file = topology / f"cpu{cpu}" / "topology" / "thread_siblings_list"
        try:
            siblings = parse_cpu_list(file.read_text())
        except OSError:
            siblings = (cpu,)
        cores.setdefault(siblings, []).append(cpu)
    return [tuple(core) for core in cores.values()]


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """Return the CPUs of a list as the kernel writes it, such as "0-2,8"."""
    spans = [span.split("-") for span in text.strip().split(",") if span]
    return tuple(cpu for span in spans for cpu in range(int(span[0]), int(span[-1]) + 1))


def cpu_list(numbers: Collection[int]) -> str:
    """Return CPUs as the kernel writes a list of them."""
    spans: list[list[int]] = []
    for cpu in sorted(numbers):
        if spans and cpu == spans[-1][-1] + 1:
            spans[-1][1:] = [cpu]
        else:
            spans.append([cpu])
    return ",".join("-".join(map(str, span)) for span in spans)


def _cpus(count: int) -> str:
    return "1 CPU" if count == 1 else f"{count} CPUs"


def _quota(cgroup: Path) -> float | None:
    """Return the CPUs that the cgroup (v2 or v1) allows; None without a limit."""
    second = cgroup / "cpu.max"
    if second.is_file():
        quota, period = second.read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    first = cgroup / "cpu" / "cpu.cfs_quota_us"
    if first.is_file():
        allowance = int(first.read_text())
        return None if allowance <= 0 else allowance / int(first.with_name("cpu.cfs_period_us").read_text())
    return None
