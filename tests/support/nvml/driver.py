"""A driver library for pynvml, which calls it through ctypes. It is compiled from nvml.c and reads a file."""

import ctypes
import os
import subprocess
from pathlib import Path
from typing import Final

import pynvml
import pytest

SOURCE: Final = Path(__file__).with_name("nvml.c")
LIBRARY: Final = "libnvidia-ml.so.1"
UUID: Final = "8a1b2c3d-0000-1111-2222-333344445555"
MIB: Final = 1 << 20
GPU_IS_LOST: Final = 15


def compiled(folder: Path, *flags: str) -> Path:
    """Return the library, compiled into a folder."""
    library = folder / LIBRARY
    subprocess.run(["cc", "-Wall", "-Werror", "-shared", "-fPIC", *flags, str(SOURCE), "-o", str(library)], check=True)
    return library


class Driver:
    """The state that the library reports, which tests can change: at first one GPU without other users.

    Energy is in millijoules, memory in bytes, clocks in MHz, the time of heat (`hot`) in nanoseconds. None means not
    supported.
    """

    def __init__(self, file: Path, library: ctypes.CDLL, pid: int) -> None:
        self._file, self._library = file, library
        self._open_before = int(library.times_open())
        self.gpu: str | None = f"GPU-{UUID}"
        self.instance: str | None = None
        self.mig: int | None = None
        self.energy: int | None = 5_000_000
        self.watts: int | None = None
        """Power, from which the energy grows with time."""
        self.reasons: int | None = 0
        self.clock: int | None = None
        self.highest_clock: int | None = None
        self.hot: int | None = None
        self.used: int | None = 900 * MIB
        self.caller: int | None = None
        """If set, the driver lists the pid of the process that asks in the place of pid 0."""
        self.processes: list[tuple[int, int]] | None = [(pid, 800 * MIB)]
        self.samples: list[tuple[int, int, int]] | None = None
        """Pid, the time in microseconds since 1970, and the percentage of the GPU's time."""
        self.every_call: int | None = None
        """Error code of every call."""
        self.say()

    def say(self, **changes: object) -> None:
        """Change the reported state."""
        for name, value in changes.items():
            if not hasattr(self, name):
                raise AttributeError(name)
            setattr(self, name, value)
        whole = ("gpu", "mig", "energy", "watts", "reasons", "clock", "highest_clock", "hot")
        single = (*whole, "caller", "instance", "used", "every_call")
        lines = ["driver 1", *(f"{name} {value}" for name in single if (value := getattr(self, name)) is not None)]
        if self.processes is not None:
            kind = "process" if self.instance is None else "instance_process"
            lines += ["lists_processes 1", *(f"{kind} {pid} {size}" for pid, size in self.processes)]
        if self.samples is not None:
            lines += ["samples 1", *(f"sample {pid} {stamp} {share}" for pid, stamp, share in self.samples)]
        self._file.write_text("".join(f"{line}\n" for line in lines))

    @property
    def times_open(self) -> int:
        """How often the library was initialized and not shut down since this driver was created."""
        return int(self._library.times_open()) - self._open_before


def installed(library: Path, says: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Replace the library that pynvml uses, even if this process has already loaded the system's."""
    loaded = ctypes.CDLL(str(library))
    monkeypatch.setattr(pynvml, "nvmlLib", loaded)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    monkeypatch.setenv("FAKE_NVML", str(says))
    return Driver(says, loaded, os.getpid())
