"""What else happened on the machine while something was measured: other processes, steal, throttling, frequency.

Other processes take time from a measurement when its threads are ready to run and have no CPU, which Linux counts for
each thread (schedstat); what they do on CPUs that would have been idle takes none. Steal is what a hypervisor takes.
The cgroup's own limit is no noise: it is there when the model serves, too. What others do to shared caches and to the
memory's bandwidth is not seen here; it counts as the machine's own speed.
"""

import os
import platform
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from compression_runner.evaluation.machine.cpus import allowed_cpus, usable_cpus
from compressionjob.report import Machine, NoiseReport

Number = TypeVar("Number", int, float)

_CGROUP_FILES: Final = (
    Path("/sys/fs/cgroup/cpu.stat"),  # version 2
    Path("/sys/fs/cgroup/cpu/cpu.stat"),  # version 1
    Path("/sys/fs/cgroup/cpu,cpuacct/cpu.stat"),
)
_THROTTLED_SECONDS: Final = {"throttled_usec": 1e-6, "throttled_time": 1e-9}

DISTURBED_STEAL: Final = 0.02
DISTURBED_OTHERS: Final = 0.10
DISTURBED_SHARE: Final = 0.02
"""Of the time of a measurement: when others took more of it away, the report says so."""
SLOWER_CLOCK: Final = 0.9
"""A CPU below this share of the frequency that it had otherwise is slowed, by heat or by a limit of power."""
_TICKS: Final = 2
"""The kernel counts CPU time of the machine in ticks; a difference may be off by so many."""


@dataclass(frozen=True)
class Reading:
    """Counters of the kernel at one moment, in seconds of CPU time where not said otherwise.

    `waited` are seconds in which threads of this process were ready and had no CPU; `frequency` is the mean of the
    CPUs' in hertz, and `hot` counts how often heat made one slower. `stolen` is the steal of the CPUs that this process
    may use. None means that the machine does not report it.
    """

    busy: float
    total: float
    steal: float
    own: float
    throttled_periods: int | None
    throttled_seconds: float | None
    moment: float = 0.0
    waited: float | None = None
    frequency: float | None = None
    hot: int | None = None
    stolen: float | None = None


def read_noise(proc: Path = Path("/proc"), cpus: Path = Path("/sys/devices/system/cpu")) -> Reading:
    """Read the counters now."""
    tick = os.sysconf("SC_CLK_TCK")
    lines = [line for line in (proc / "stat").read_text().splitlines() if line.startswith("cpu")]
    by_name = {name: [int(value) / tick for value in values[:8]] for name, *values in map(str.split, lines)}
    fields = by_name.pop("cpu")
    user, nice, system, _idle, _waiting, hard, soft, steal = fields
    stolen = [by_name[name][-1] for name in (f"cpu{number}" for number in allowed_cpus()) if name in by_name]
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
        moment=time.monotonic(),
        waited=_waited(proc / "self" / "task"),
        frequency=_frequency(cpus),
        hot=_hot(cpus),
        stolen=sum(stolen) if stolen else None,
    )


@dataclass(frozen=True)
class Noise:
    """What happened in some stretches of time together, in seconds.

    `total`, `steal` and `other` are of all CPUs; `own` is the work of this process and its ended children, `other` that
    of all others (and of the kernel for them). `stolen` and `nearby` are what of them falls to the CPUs that this
    process could use then: `stolen` by their own counters, where there are any, and else by their number. None means
    that the machine does not report it.
    """

    elapsed: float
    total: float
    own: float
    steal: float
    other: float
    waited: float | None
    throttled_periods: int | None
    throttled_seconds: float | None
    frequency: float | None
    hot: int | None
    stolen: float = 0.0
    nearby: float = 0.0

    def __add__(self, more: "Noise") -> "Noise":
        elapsed = self.elapsed + more.elapsed
        mean = None
        if self.frequency is not None and more.frequency is not None:
            mean = (self.frequency * self.elapsed + more.frequency * more.elapsed) / max(elapsed, 1e-9)
        return Noise(
            elapsed,
            self.total + more.total,
            self.own + more.own,
            self.steal + more.steal,
            self.other + more.other,
            _added(self.waited, more.waited),
            _added(self.throttled_periods, more.throttled_periods),
            _added(self.throttled_seconds, more.throttled_seconds),
            mean,
            _added(self.hot, more.hot),
            self.stolen + more.stolen,
            self.nearby + more.nearby,
        )

    @property
    def steal_share(self) -> float:
        """Share of all CPU time that the hypervisor took."""
        return self.steal / max(self.total, 1e-9)

    @property
    def other_share(self) -> float:
        """Share of all CPU time that other processes used."""
        return max(0.0, self.other) / max(self.total, 1e-9)

    @property
    def lost(self) -> float:
        """Seconds that others took from the threads of this process, all together: at most so much was added to it.

        Threads wait for each other too, where there are more than CPUs; so what others did is the most that counts.
        Where the kernel does not tell how long they waited, all work of others counts that was done on this share of
        the machine's CPUs.
        """
        slack = _TICKS / os.sysconf("SC_CLK_TCK")
        waited = self.nearby if self.waited is None else min(self.waited, self.other + slack)
        return min(self.elapsed, max(0.0, waited) + max(0.0, self.stolen))

    @property
    def uncounted(self) -> float:
        """Seconds that were lost otherwise than by waiting for a CPU behind others: to the hypervisor (steal)."""
        return min(self.elapsed, max(0.0, self.stolen))

    @property
    def lost_share(self) -> float:
        """Share of the time that others took from the threads of this process, all together."""
        return self.lost / max(self.elapsed, 1e-9)

    @property
    def disturbed(self) -> bool:
        """Whether others took so much time away, or heat slowed a CPU, that it is worth a word."""
        return self.lost_share > DISTURBED_SHARE or bool(self.hot)

    def to_report(self) -> NoiseReport:
        """Return the figures for the report."""
        counted: dict[str, Any] = {
            "throttled_periods": self.throttled_periods,
            "throttled_seconds": None if self.throttled_seconds is None else round(self.throttled_seconds, 3),
            "frequency_ghz": None if self.frequency is None else round(self.frequency / 1e9, 3),
            "slowed_by_heat": self.hot,
        }
        return NoiseReport(
            steal_share=round(self.steal_share, 4),
            other_share=round(self.other_share, 4),
            lost_share=round(self.lost_share, 4),
            load_average=round(os.getloadavg()[0], 2),
            **{name: figure for name, figure in counted.items() if figure is not None},
        )


def noise_between(before: Reading, after: Reading) -> Noise:
    """Return what happened between two readings; time in which the cgroup's limit held threads back is not waiting."""
    throttled = _difference(before.throttled_seconds, after.throttled_seconds)
    waited = _difference(before.waited, after.waited)
    other, steal = after.busy - before.busy - (after.own - before.own), after.steal - before.steal
    # A process that is pinned later on, or no longer, has another share of the machine then.
    usable, stolen = usable_cpus(), _difference(before.stolen, after.stolen)
    mine = usable / (os.cpu_count() or 1)
    return Noise(
        elapsed=after.moment - before.moment,
        total=after.total - before.total,
        own=after.own - before.own,
        steal=steal,
        other=other,
        waited=None if waited is None else max(0.0, waited - (throttled or 0.0)),
        throttled_periods=_difference(before.throttled_periods, after.throttled_periods),
        throttled_seconds=throttled,
        frequency=after.frequency,
        hot=_difference(before.hot, after.hot),
        stolen=mine * steal if stolen is None else stolen * usable / len(allowed_cpus()),
        nearby=mine * other,
    )


def noise_notes(noise: Noise) -> list[str]:
    """Return sentences on what may have disturbed the measurement; none for a quiet machine."""
    notes: list[str] = []
    if noise.throttled_periods:
        seconds = noise.throttled_seconds or 0.0
        notes.append(f"the CPU limit throttled the benchmark in {noise.throttled_periods} periods ({seconds:.3g} s)")
    if noise.steal_share > DISTURBED_STEAL:
        notes.append(f"the hypervisor took {noise.steal_share:.0%} of the CPU time away (steal)")
    if noise.other_share > DISTURBED_OTHERS:
        notes.append(f"other processes used {noise.other_share:.0%} of the machine's CPU time")
    if noise.hot:
        notes.append(f"heat made the CPU slower {noise.hot} times")
    return notes


def reason_of(noise: Noise) -> str:
    """Return why a verdict on speed is doubtful: what others did, and how much time it took from the benchmark."""
    found = noise_notes(replace(noise, throttled_periods=None))
    did = "; ".join(found) or f"other processes used {noise.other_share:.0%} of the machine's CPU time"
    return f"{did}, and took {noise.lost_share:.0%} of the time from the benchmark"


def machine() -> Machine:
    """Return what the measurement ran on."""
    return Machine(
        cpu=_cpu_model(),
        cpus=os.cpu_count(),
        usable_cpus=usable_cpus(),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        architecture=platform.machine(),
    )


def _waited(tasks: Path) -> float | None:
    """Return how long all threads of this process were ready and had no CPU (proc(5), schedstat)."""
    ran = found = 0
    for thread in tasks.iterdir():
        try:
            run, waited, _ = map(int, (thread / "schedstat").read_text().split())
            ran, found = ran + run, found + waited
        except ProcessLookupError:
            continue  # it ended while the list was read
        except FileNotFoundError:
            if thread.exists():
                return None  # a kernel without schedstat
    return found * 1e-9 if ran else None  # one that shows zeros does not count


def _frequency(cpus: Path) -> float | None:
    """Return the mean frequency in hertz of the CPUs that this process may use, None where no driver tells it."""
    files = [cpus / f"cpu{number}" / "cpufreq" / "scaling_cur_freq" for number in os.sched_getaffinity(0)]
    found = [int(file.read_text()) * 1e3 for file in files if file.is_file()]
    return sum(found) / len(found) if found else None


def _hot(cpus: Path) -> int | None:
    """Return how often heat made one of the CPUs of this process slower, None where the machine does not count it."""
    files = [cpus / f"cpu{number}" / "thermal_throttle" / "core_throttle_count" for number in os.sched_getaffinity(0)]
    found = [int(file.read_text()) for file in files if file.is_file()]
    return sum(found) if found else None


def _difference(before: Number | None, after: Number | None) -> Number | None:
    return None if before is None or after is None else after - before


def _added(first: Number | None, second: Number | None) -> Number | None:
    return None if first is None or second is None else first + second


def _throttling() -> dict[str, float]:
    for path in _CGROUP_FILES:
        if path.is_file():
            pairs = (line.split() for line in path.read_text().splitlines())
            return {pair[0]: float(pair[1]) for pair in pairs if len(pair) == 2}
    return {}


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
