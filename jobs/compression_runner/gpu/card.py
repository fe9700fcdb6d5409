"""One GPU, as NVIDIA's driver tells of it (NVML). What it does not tell is None, and no error of it is ours.

Sources: NVIDIA, NVML API Reference Guide; its bindings nvidia-ml-py.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import pynvml

Told = TypeVar("Told")

HEAT: Final = "heat"
POWER: Final = "a limit of power"
HARDWARE: Final = "its hardware"
"""It slowed itself down and says no more: by heat, power or a brake from outside."""
_REASONS: Final[Mapping[str, int]] = {
    HEAT: pynvml.nvmlClocksEventReasonSwThermalSlowdown | pynvml.nvmlClocksEventReasonHwThermalSlowdown,
    POWER: pynvml.nvmlClocksEventReasonSwPowerCap | pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown,
}
_MILLIJOULES: Final = 1e-3
Processes = Sequence[tuple[int, int | None]]


@dataclass(frozen=True)
class State:
    """What was told at one moment.

    `joules` count from when the driver was loaded. `processes` are those that compute here: pid and bytes (None where
    the driver keeps that to itself); `shares` is the part of the time since the last look in which a pid's kernels ran,
    from 0 to 1. In a container pids are those of the machine, or of this container with others' hidden or all alike:
    https://github.com/NVIDIA/nvidia-docker/issues/1483, https://github.com/NVIDIA/open-gpu-kernel-modules/pull/614
    """

    joules: float | None = None
    used_bytes: int | None = None
    processes: Processes | None = None
    shares: Mapping[int, float] | None = None
    slowed_by: frozenset[str] | None = None


class Card:
    """A GPU, or an instance of one (MIG): that has memory and processes of its own, but the clocks of the whole.

    Energy is told of whole GPUs alone: an instance's part of it is not known.
    """

    def __init__(self, whole: Any, mine: Any) -> None:
        """`whole` and `mine` are NVML's handles of the GPU and of what is used of it: None where that is not known."""
        self._whole, self._mine = whole, mine
        self._partial = mine is not whole
        self._seen = int(time.time() * 1e6)
        self.name: str | None = _told(lambda: pynvml.nvmlDeviceGetName(whole))

    def look(self) -> State:
        """Return what the driver tells now."""
        joules = None if self._partial else _told(lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(self._whole))
        reasons = _told(lambda: _clock_reasons(self._whole))
        return State(
            joules=None if joules is None else joules * _MILLIJOULES,
            used_bytes=self._of_mine(_used_bytes),
            processes=self._of_mine(_processes),
            shares=None if self._partial else self._shares(),
            slowed_by=None if reasons is None else _slowed_by(reasons),
        )

    def close(self) -> None:
        """Let go of the driver."""
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()

    def _of_mine(self, ask: Callable[[Any], Told]) -> Told | None:
        return None if self._mine is None else _told(lambda: ask(self._mine))

    def _shares(self) -> Mapping[int, float] | None:
        try:
            samples = pynvml.nvmlDeviceGetProcessUtilization(self._whole, self._seen)
        except pynvml.NVMLError_NotFound:
            return {}  # no kernel ran
        except pynvml.NVMLError:
            return None
        self._seen = max([self._seen, *(sample.timeStamp for sample in samples)])
        found: dict[int, list[int]] = {}
        for sample in samples:
            found.setdefault(sample.pid, []).append(sample.smUtil)
        return {pid: sum(percent) / len(percent) / 100 for pid, percent in found.items()}


def open_card(uuid: str) -> Card | None:
    """Return the GPU, or the instance of one, with CUDA's UUID; None where no driver tells of it.

    NVML counts GPUs in another order than CUDA, and those that CUDA_VISIBLE_DEVICES hides as well: so no index is used.
    """
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    bare = uuid.removeprefix("GPU-").removeprefix("MIG-")
    found = _told(lambda: _whole(f"GPU-{bare}")) or _told(lambda: _instance(f"MIG-{bare}"))
    if found is None:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()
    return found


def _whole(uuid: str) -> Card:
    handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
    mode = _told(lambda: pynvml.nvmlDeviceGetMigMode(handle)[0])
    return Card(handle, None if mode == pynvml.NVML_DEVICE_MIG_ENABLE else handle)


def _instance(uuid: str) -> Card:
    mine = pynvml.nvmlDeviceGetHandleByUUID(uuid)
    return Card(pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mine), mine)


def _told(ask: Callable[[], Told]) -> Told | None:
    try:
        return ask()
    except pynvml.NVMLError:
        return None


def _used_bytes(handle: Any) -> int:
    """Memory that processes have, without what the driver keeps for itself (which older drivers do not tell apart)."""
    try:
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2).used)
    except pynvml.NVMLError_FunctionNotFound:
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)


def _processes(handle: Any) -> Processes:
    found = pynvml.nvmlDeviceGetComputeRunningProcesses_v3(handle)
    return [(process.pid, process.usedGpuMemory) for process in found]


def _clock_reasons(handle: Any) -> int:
    """Why the clocks are as they are, a bit for each reason; drivers before 535 have the older name alone."""
    try:
        return int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    except pynvml.NVMLError_FunctionNotFound:
        return int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))


def _slowed_by(reasons: int) -> frozenset[str]:
    found = {name for name, bits in _REASONS.items() if reasons & bits}
    by_itself = reasons & pynvml.nvmlClocksEventReasonHwSlowdown and not found
    return frozenset({HARDWARE} if by_itself else found)
