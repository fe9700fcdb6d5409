"""Check that a plan fits into the memory and disk space of this process."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compression_runner.errors import DiskFull, InvalidInput
from compressionjob.field_types import format_bytes

CGROUP: Final = Path("/sys/fs/cgroup")
MEMINFO: Final = Path("/proc/meminfo")
# cgroup v1 writes a number near 2^63 for no limit.
NO_LIMIT: Final = 1 << 60


@dataclass(frozen=True)
class MemoryForecast:
    """Bytes of a run: it fails with less than `least`; `expected` comes from measurements."""

    least: int
    expected: int
    step: str


def memory_limit(cgroup: Path = CGROUP, meminfo: Path = MEMINFO) -> int:
    """Return the bytes that this process may use, by its cgroup (v2 or v1) and the machine's memory."""
    limits = [_machine_memory(meminfo)]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        place = cgroup / name
        if place.is_file():
            text = place.read_text().strip()
            if text.isdigit() and int(text) < NO_LIMIT:
                limits.append(int(text))
    return min(limits)


def check_memory(forecast: MemoryForecast, limit: int, field: str = "spec.runtime") -> None:
    """Raise InvalidInput if the minimum is above the limit of the runtime that `field` names."""
    if forecast.least > limit:
        problem = (
            f"{forecast.step} needs at least {format_bytes(forecast.least, like=limit)} of memory "
            f"(about {format_bytes(forecast.expected, like=limit)}) and {format_bytes(limit, like=limit)} are allowed"
        )
        remedy = "name a runtime with a larger memory limit, or a smaller model"
        raise InvalidInput("InsufficientMemory", field, format_bytes(limit, like=limit), problem, remedy)


def check_disk(place: Path, needed: int) -> None:
    """Raise DiskFull if the work directory's file system has less than `needed` bytes free."""
    free = shutil.disk_usage(place).free
    if needed > free:
        problem = f"the run needs {format_bytes(needed)} and {format_bytes(free)} are free"
        remedy = "give the work directory more room (the runtime's work volume, or --workdir)"
        raise DiskFull("DiskFull", "workdir", place, problem, remedy)


def _machine_memory(meminfo: Path) -> int:
    for line in meminfo.read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return NO_LIMIT
