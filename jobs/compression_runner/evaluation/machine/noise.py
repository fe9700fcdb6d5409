"""Noise during a measurement: other processes, steal, throttling and frequency.

Other processes delay a measurement when its threads are ready to run and have no CPU; Linux counts this for each thread
(schedstat). Work of others on CPUs that would have been idle costs nothing. Steal is time that the hypervisor takes.
The cgroup's own limit is not noise: it also applies when the model serves. Effects on shared caches and memory
bandwidth are not visible here; they count as the machine's own speed. `gpu_noise` is the noise of a GPU.
"""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from compression_runner.evaluation.machine.cpus import allowed_cpus, usable_cpus
from compression_runner.evaluation.machine.gpu_noise import GpuNoise, GpuReading, gpu_noise_between
from compressionjob.figures import short_number
from compressionjob.report import NoiseReport

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
"""Share of the time of a measurement; if others took more, the report says so."""
SLOWER_CLOCK: Final = 0.9
"""A CPU below this share of its usual frequency is slowed by heat or by a power limit."""
QUIET_NODE: Final = "a quiet node"
QUIET_GPU: Final = "a quiet GPU"
_TICKS: Final = 2
"""The kernel counts CPU time of the machine in ticks; a difference may be off by this many."""


@dataclass(frozen=True)
class Reading:
    """Counters of the kernel at one moment, in seconds of CPU time by default.

    `waited` is the time in which threads of this process were ready and had no CPU. `frequency` is the mean of the CPUs
    in hertz. `hot` counts how often heat throttled one. `stolen` is the steal of the CPUs that this process may use.
    None means that the machine does not report it. `gpu` is the GPU that measures, if there is one.
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
    gpu: GpuReading | None = None


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
    """The noise in one or more intervals of time, in seconds.

    `total`, `steal` and `other` are sums over all CPUs. `own` is the work of this process and its ended children,
    `other` that of all others (and of the kernel for them). `stolen` and `nearby` are the parts of `steal` and `other`
    on the CPUs that this process could use: `stolen` by the counters of these CPUs, or else by their number. None means
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
    gpu: GpuNoise | None = None

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
            self.gpu + more.gpu if self.gpu and more.gpu else self.gpu or more.gpu,
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
        """Upper bound of the seconds that others took from all threads of this process together, and from its GPU.

        If there are more threads than CPUs, threads also wait for each other, so the work of others is the most that
        counts. If the kernel does not count waiting, all work of others on this process's share of the CPUs counts.
        """
        slack = _TICKS / os.sysconf("SC_CLK_TCK")
        waited = self.nearby if self.waited is None else min(self.waited, self.other + slack)
        return min(self.elapsed, max(0.0, waited) + self.uncounted)

    @property
    def uncounted(self) -> float:
        """Seconds lost to the hypervisor (steal) and on the GPU, which the waiting of threads does not include."""
        return min(self.elapsed, max(0.0, self.stolen) + (self.gpu.lost if self.gpu else 0.0))

    @property
    def lost_share(self) -> float:
        """Share of the elapsed time that others took."""
        return self.lost / max(self.elapsed, 1e-9)

    @property
    def disturbed(self) -> bool:
        """Whether the report should mention it: others took more than DISTURBED_SHARE, or heat slowed a device."""
        return self.lost_share > DISTURBED_SHARE or bool(self.hot) or bool(self.gpu and self.gpu.slowed_by)

    @property
    def quiet_device(self) -> str:
        """The device without other work that would decide: the GPU if most was lost there."""
        return QUIET_GPU if self.gpu and self.gpu.lost > self.lost / 2 else QUIET_NODE

    def to_report(self) -> NoiseReport:
        """Return the figures for the report."""
        counted: dict[str, Any] = {
            "throttled_periods": self.throttled_periods,
            "throttled_seconds": None if self.throttled_seconds is None else round(self.throttled_seconds, 3),
            "frequency_ghz": None if self.frequency is None else round(self.frequency / 1e9, 3),
            "slowed_by_heat": self.hot,
            "gpu": self.gpu and self.gpu.to_report(),
        }
        return NoiseReport(
            steal_share=round(self.steal_share, 4),
            other_share=round(self.other_share, 4),
            lost_share=round(self.lost_share, 4),
            load_average=round(os.getloadavg()[0], 2),
            **{name: figure for name, figure in counted.items() if figure is not None},
        )


def noise_between(before: Reading, after: Reading) -> Noise:
    """Return the noise between two readings; time in which the cgroup's limit throttled threads is not waiting."""
    throttled = _difference(before.throttled_seconds, after.throttled_seconds)
    waited = _difference(before.waited, after.waited)
    other, steal = after.busy - before.busy - (after.own - before.own), after.steal - before.steal
    # Pinning changes the share of the machine that this process may use.
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
        gpu=gpu_noise_between(before.gpu, after.gpu, after.moment - before.moment)
        if before.gpu and after.gpu
        else None,
    )


def noise_notes(noise: Noise) -> list[str]:
    """Return sentences about possible disturbances of the measurement; none for a quiet machine."""
    notes: list[str] = []
    if noise.throttled_periods:
        seconds = short_number(noise.throttled_seconds or 0.0, 3)
        notes.append(f"the CPU limit throttled the benchmark in {noise.throttled_periods} periods ({seconds} s)")
    if noise.steal_share > DISTURBED_STEAL:
        notes.append(f"the hypervisor took {noise.steal_share:.0%} of the CPU time away (steal)")
    if noise.other_share > DISTURBED_OTHERS:
        notes.append(f"other processes used {noise.other_share:.0%} of the machine's CPU time")
    if noise.hot:
        notes.append(f"heat made the CPU slower {noise.hot} times")
    return [*notes, *(noise.gpu.notes() if noise.gpu else [])]


def reason_of(noise: Noise) -> str:
    """Explain why a verdict on speed is doubtful: the disturbance, and the time that the benchmark lost."""
    notes = noise_notes(replace(noise, throttled_periods=None))
    did = "; ".join(notes) or f"other processes used {noise.other_share:.0%} of the machine's CPU time"
    took = "took" if noise.gpu is None else "may have taken"
    return f"{did}, and {took} {noise.lost_share:.0%} of the time from the benchmark"


def _waited(tasks: Path) -> float | None:
    """Return how long all threads of this process were ready and had no CPU (proc(5), schedstat)."""
    ran = total = 0
    for thread in tasks.iterdir():
        try:
            run, waited, _ = map(int, (thread / "schedstat").read_text().split())
            ran, total = ran + run, total + waited
        except ProcessLookupError:
            continue  # it ended while the list was read
        except FileNotFoundError:
            if thread.exists():
                return None  # a kernel without schedstat
    return total * 1e-9 if ran else None  # one that shows zeros does not count


def _frequency(cpus: Path) -> float | None:
    """Return the mean frequency in hertz of the CPUs that this process may use; None if no driver reports it."""
    files = [cpus / f"cpu{number}" / "cpufreq" / "scaling_cur_freq" for number in os.sched_getaffinity(0)]
    frequencies = [int(file.read_text()) * 1e3 for file in files if file.is_file()]
    return sum(frequencies) / len(frequencies) if frequencies else None


def _hot(cpus: Path) -> int | None:
    """Return how often heat throttled a CPU of this process; None if the machine does not count it."""
    files = [cpus / f"cpu{number}" / "thermal_throttle" / "core_throttle_count" for number in os.sched_getaffinity(0)]
    counts = [int(file.read_text()) for file in files if file.is_file()]
    return sum(counts) if counts else None


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
