"""Noise during a measurement of servers: their processes work for the measurement, and wait for CPUs in it."""

import os
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from compression_runner.evaluation.machine.noise import Reading, read_noise


def read_with_servers(sessions: Collection[int], proc: Path = Path("/proc")) -> Reading:
    """Read the kernel's counters; the work and the waiting of all processes of these sessions count as own."""
    reading = read_noise(proc)
    work = waited = 0.0
    for process in _processes(sessions, proc):
        work, waited = work + _work(process), waited + _waited(process)
    known = None if reading.waited is None else reading.waited + waited
    return replace(reading, own=reading.own + work, waited=known)


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
