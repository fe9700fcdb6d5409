"""What else happened on the machine while something was measured: throttling, steal, other processes."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_CGROUP_FILES: Final = (
    Path("/sys/fs/cgroup/cpu.stat"),  # version 2
    Path("/sys/fs/cgroup/cpu/cpu.stat"),  # version 1
    Path("/sys/fs/cgroup/cpu,cpuacct/cpu.stat"),
)
_THROTTLED_SECONDS: Final = {"throttled_usec": 1e-6, "throttled_time": 1e-9}

DISTURBED_STEAL: Final = 0.02
DISTURBED_OTHERS: Final = 0.10


@dataclass(frozen=True)
class Reading:
    """Counters of the kernel at one moment, in seconds of CPU time where not said otherwise."""

    busy: float
    total: float
    steal: float
    own: float
    throttled_periods: int | None
    throttled_seconds: float | None


def read_noise(proc: Path = Path("/proc")) -> Reading:
    """Read the counters now."""
    tick = os.sysconf("SC_CLK_TCK")
    fields = [int(value) / tick for value in (proc / "stat").read_text().splitlines()[0].split()[1:9]]
    user, nice, system, _idle, _waiting, hard, soft, steal = fields
    own = os.times()
    throttled = _throttling()
    throttled_seconds = [throttled[key] * unit for key, unit in _THROTTLED_SECONDS.items() if key in throttled]
    return Reading(
        busy=user + nice + system + hard + soft,
        total=sum(fields),
        steal=steal,
        own=own.user + own.system + own.children_user + own.children_system,
        throttled_periods=int(throttled["nr_throttled"]) if "nr_throttled" in throttled else None,
        throttled_seconds=next(iter(throttled_seconds), None),
    )


def noise_between(before: Reading, after: Reading) -> dict[str, Any]:
    """Return what happened between two readings; shares are of all CPU time of the machine.

    `otherShare` is the work of other processes than this one and its ended children (and of the kernel for them).
    """
    total = max(after.total - before.total, 1e-9)
    own = after.own - before.own
    found: dict[str, Any] = {
        "stealShare": round((after.steal - before.steal) / total, 4),
        "otherShare": round(max(0.0, after.busy - before.busy - own) / total, 4),
        "loadAverage": round(os.getloadavg()[0], 2),
    }
    if before.throttled_periods is not None and after.throttled_periods is not None:
        found["throttledPeriods"] = after.throttled_periods - before.throttled_periods
    if before.throttled_seconds is not None and after.throttled_seconds is not None:
        found["throttledSeconds"] = round(after.throttled_seconds - before.throttled_seconds, 3)
    return found


def noise_notes(noise: dict[str, Any]) -> list[str]:
    """Return sentences on what may have disturbed the measurement; none for a quiet machine."""
    notes: list[str] = []
    if noise.get("throttledPeriods"):
        seconds = noise.get("throttledSeconds", 0)
        notes.append(f"the CPU limit throttled the benchmark in {noise['throttledPeriods']} periods ({seconds:g} s)")
    if noise["stealShare"] > DISTURBED_STEAL:
        notes.append(f"the hypervisor took {noise['stealShare']:.0%} of the CPU time away (steal)")
    if noise["otherShare"] > DISTURBED_OTHERS:
        notes.append(f"other processes used {noise['otherShare']:.0%} of the machine's CPU time")
    return notes


def usable_cpus() -> int:
    """Return how many CPUs this process may use: its affinity, cut by the cgroup's quota."""
    allowed = len(os.sched_getaffinity(0))
    quota = _quota()
    return max(1, min(allowed, int(quota) if quota and quota >= 1 else allowed if not quota else 1))


def machine() -> dict[str, Any]:
    """Return what the measurement ran on."""
    return {
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "usableCpus": usable_cpus(),
        "memoryBytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "architecture": platform.machine(),
    }


def _throttling() -> dict[str, float]:
    for path in _CGROUP_FILES:
        if path.is_file():
            pairs = (line.split() for line in path.read_text().splitlines())
            return {pair[0]: float(pair[1]) for pair in pairs if len(pair) == 2}
    return {}


def _quota() -> float | None:
    """Return the CPUs that the cgroup allows, None where it sets no limit."""
    second = Path("/sys/fs/cgroup/cpu.max")
    if second.is_file():
        quota, period = second.read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    first = Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
    if first.is_file():
        allowance = int(first.read_text())
        return None if allowance <= 0 else allowance / int(first.with_name("cpu.cfs_period_us").read_text())
    return None


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
