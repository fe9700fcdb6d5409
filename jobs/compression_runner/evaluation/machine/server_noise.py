"""Noise during a measurement of servers: their processes work for the measurement, and wait for CPUs in it."""

import os
import sys
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from compression_runner.evaluation.machine.gpu_noise import GpuReading, read_gpu
from compression_runner.evaluation.machine.noise import Reading, read_noise
from compression_runner.gpu.card import Card


def read_with_servers(sessions: Collection[int], proc: Path = Path("/proc"), card: Card | None = None) -> Reading:
    """Read the counters of the kernel and of the servers' GPU, if they have one.

    The work and the waiting of all processes of these sessions count as own.
    """
    reading = read_noise(proc)
    work = waited = 0.0
    processes = list(_processes(sessions, proc))
    for process in processes:
        work, waited = work + _work(process), waited + _waited(process)
    known = None if reading.waited is None else reading.waited + waited
    gpu = _read_gpu(card, [int(process.name) for process in processes], len(sessions)) if card else None
    return replace(reading, own=reading.own + work, waited=known, gpu=gpu)


def _read_gpu(card: Card, processes: Collection[int], servers: int) -> GpuReading:
    """Read the GPU; of each server, one process uses it."""
    return read_gpu(card, {os.getpid(), *processes}, servers + _has_used_gpu())


def _has_used_gpu() -> bool:
    """Return whether this process has computed on the GPU, in an earlier stage: it stays on it."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_initialized() and torch.cuda.max_memory_allocated() > 0


def _processes(sessions: Collection[int], proc: Path) -> Iterator[Path]:
    """Yield the processes of sessions (proc(5), stat field 6)."""
    for process in proc.iterdir():
        if process.name.isdigit() and (fields := _fields(process)) and int(fields[3]) in sessions:
            yield process


def _fields(process: Path) -> list[str]:
    """Return the fields of stat after the name, which may contain blanks; empty for an ended process."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _work(process: Path) -> float:
    """Return the seconds of CPU time of a process and its ended children."""
    fields = _fields(process)
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _waited(process: Path) -> float:
    """Return how long the threads of a process were ready and had no CPU."""
    total = 0
    try:
        for thread in (process / "task").iterdir():
            total += int((thread / "schedstat").read_text().split()[1])
    except (OSError, IndexError):
        return total * 1e-9  # it ended, or the kernel does not count
    return total * 1e-9
