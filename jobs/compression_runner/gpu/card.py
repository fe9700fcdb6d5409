"""One GPU, read from NVIDIA's driver (NVML). A value that the driver does not report is None, and not an error.

Sources: NVIDIA, NVML API Reference Guide; its bindings nvidia-ml-py.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import pynvml

Value = TypeVar("Value")

HEAT: Final = "thermal slowdown"
POWER: Final = "power limit"
BRAKE: Final = "power brake"
"""An external signal, such as that of an overloaded power supply."""
HARDWARE: Final = "hardware slowdown"
"""Throttling without a known cause: heat, power or an external brake."""
_REASONS: Final[Mapping[str, int]] = {
    HEAT: pynvml.nvmlClocksEventReasonSwThermalSlowdown | pynvml.nvmlClocksEventReasonHwThermalSlowdown,
    POWER: pynvml.nvmlClocksEventReasonSwPowerCap,
    BRAKE: pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
}
_MILLIJOULES: Final = 1e-3
_MICROSECONDS: Final = 1e6
_NANOSECONDS: Final = 1e-9
Processes = Sequence[tuple[int, int | None]]


@dataclass(frozen=True)
class GpuState:
    """The driver's values at one moment.

    `joules` count from the load of the driver. `processes` are the compute processes: pid and bytes (None if the driver
    does not report it). `shares` is the share of the time since the last reading in which a pid's kernels ran, from 0
    to 1. In a container, pids are those of the machine, or of this container with others hidden or all equal:
    https://github.com/NVIDIA/nvidia-docker/issues/1483, https://github.com/NVIDIA/open-gpu-kernel-modules/pull/614

    `clock` is the clock of the multiprocessors as a share of the highest one, from 0 to 1. `hot_seconds` counts the
    time in which heat lowered it, from some earlier moment.
    """

    joules: float | None = None
    used_bytes: int | None = None
    processes: Processes | None = None
    shares: Mapping[int, float] | None = None
    slowed_by: frozenset[str] | None = None
    clock: float | None = None
    hot_seconds: float | None = None


class Card:
    """A GPU, or an instance of one (MIG), which has its own memory and processes but the clocks of the whole GPU.

    Energy is known for whole GPUs only, not for an instance.
    """

    def __init__(self, whole: Any, mine: Any, uuid: str) -> None:
        """`whole` and `mine` are NVML's handles of the GPU and of the used part; None if that part is not known."""
        self.uuid = uuid
        self._whole, self._mine = whole, mine
        self.partial = mine is not whole
        """Whether it is an instance, or a GPU whose instance is not known."""
        self._seen = int(time.time() * _MICROSECONDS)
        self.name: str | None = _supported(lambda: pynvml.nvmlDeviceGetName(whole))
        self.driver: str | None = _supported(pynvml.nvmlSystemGetDriverVersion)

    def look(self, window: float = 0.0) -> GpuState:
        """Read the driver's values now; shares are of at least the last `window` seconds."""
        reasons = _supported(lambda: _clock_reasons(self._whole))
        return GpuState(
            joules=self.joules(),
            used_bytes=self._of_mine(_used_bytes),
            processes=self._of_mine(_processes),
            shares=None if self.partial else self._shares(window),
            slowed_by=None if reasons is None else _slowed_by(reasons),
            clock=_supported(lambda: _clock(self._whole)),
            hot_seconds=_supported(lambda: _hot_seconds(self._whole)),
        )

    def bytes_of(self, pid: int) -> int | None:
        """Return the memory that a process has on the GPU; None if the driver does not report it."""
        sizes = [size for process, size in self._of_mine(_processes) or () if process == pid and size is not None]
        return sum(sizes) if sizes else None

    def joules(self) -> float | None:
        """Read the energy counter alone."""
        joules = None if self.partial else _supported(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(self._whole))
        return None if joules is None else joules * _MILLIJOULES

    def close(self) -> None:
        """Release the driver."""
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()

    def _of_mine(self, query: Callable[[Any], Value]) -> Value | None:
        return None if self._mine is None else _supported(lambda: query(self._mine))

    def _shares(self, window: float) -> Mapping[int, float] | None:
        since = min(self._seen, int((time.time() - window) * _MICROSECONDS)) if window else self._seen
        try:
            samples = pynvml.nvmlDeviceGetProcessUtilization(self._whole, since)
        except pynvml.NVMLError_NotFound:
            return {}  # no kernel ran
        except pynvml.NVMLError:
            return None
        self._seen = max([self._seen, *(sample.timeStamp for sample in samples)])
        percentages: dict[int, Counter[int]] = {}
        for sample in samples:  # several processes may have one pid
            percentages.setdefault(sample.pid, Counter())[sample.timeStamp] += sample.smUtil
        return {pid: sum(percent.values()) / len(percent) / 100 for pid, percent in percentages.items()}


def open_card(uuid: str) -> Card | None:
    """Return the GPU, or the MIG instance, with CUDA's UUID; None if no driver knows it.

    NVML orders GPUs differently than CUDA, and includes those that CUDA_VISIBLE_DEVICES hides: so no index is used.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    bare = uuid.removeprefix("GPU-").removeprefix("MIG-")
    card = _supported(lambda: _whole(f"GPU-{bare}")) or _supported(lambda: _instance(f"MIG-{bare}"))
    if card is None:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
    return card


def _whole(uuid: str) -> Card:
    handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
    mode = _supported(lambda: pynvml.nvmlDeviceGetMigMode(handle)[0])
    return Card(handle, None if mode == pynvml.NVML_DEVICE_MIG_ENABLE else handle, uuid)


def _instance(uuid: str) -> Card:
    mine = pynvml.nvmlDeviceGetHandleByUUID(uuid)
    return Card(pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mine), mine, uuid)


def _supported(query: Callable[[], Value]) -> Value | None:
    try:
        return query()
    except pynvml.NVMLError:
        return None


def _used_bytes(handle: Any) -> int:
    """Return the memory of processes, without the driver's own (which older drivers include)."""
    try:
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2).used)
    except pynvml.NVMLError_FunctionNotFound:
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)


def _processes(handle: Any) -> Processes:
    processes = pynvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)
    return [(process.pid, process.usedGpuMemory) for process in processes]


def _clock_reasons(handle: Any) -> int:
    """Return the bits of the reasons for the current clocks; drivers before 535 have the older name only."""
    try:
        return int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    except pynvml.NVMLError_FunctionNotFound:
        return int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))


def _clock(handle: Any) -> float:
    """Return the present clock divided by the highest one."""
    highest = int(pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM))
    return min(1.0, int(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM)) / max(1, highest))


def _hot_seconds(handle: Any) -> float:
    counted = pynvml.nvmlDeviceGetViolationStatus(handle, pynvml.NVML_PERF_POLICY_THERMAL)
    return float(counted.violationTime) * _NANOSECONDS


def _slowed_by(reasons: int) -> frozenset[str]:
    causes = {name for name, bits in _REASONS.items() if reasons & bits}
    by_itself = reasons & pynvml.nvmlClocksEventReasonHwSlowdown and not causes
    return frozenset({HARDWARE} if by_itself else causes)
