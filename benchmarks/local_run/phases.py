"""Measure the seconds and CPU seconds of each phase of a run, by the lines of its log."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.tooling import Cost

START: Final = "start and imports"
END: Final = "end of the process"
ENDED: Final = re.compile(r"\[\d+/\d+\] (.+) done in [\d.]+ s$")
FIRST: Final = re.compile(r"\[1/\d+\] \S+$")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Phase:
    """One phase of a run, and its cost."""

    name: str
    wall_seconds: float
    cpu_seconds: float

    def to_json(self) -> dict[str, str | float]:
        """Return the phase for results.json."""
        return {
            "name": self.name,
            "wallSeconds": round(self.wall_seconds, 2),
            "cpuSeconds": round(self.cpu_seconds, 2),
        }


class PhaseClock:
    """Reads the clocks when the log of a run reports the end of a phase."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._before = (0.0, 0.0)
        self._phases: list[Phase] = []

    def on_line(self, process: int, line: str) -> None:
        """Read the clocks if the line begins the first phase or ends a phase."""
        text = line.strip()
        ended = ENDED.match(text)
        if ended or (not self._phases and FIRST.match(text)):
            self._close(ended[1] if ended else START, time.monotonic() - self._start, cpu_seconds(process))

    def ended(self, cost: Cost) -> list[Phase]:
        """Return the phases; the remaining cost of the run is the end of the process."""
        self._close(END, cost.wall_seconds, cost.cpu_seconds)
        return self._phases

    def _close(self, name: str, wall: float, cpu: float) -> None:
        self._phases.append(Phase(name, wall - self._before[0], cpu - self._before[1]))
        self._before = (wall, cpu)


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process and its ended children."""
    # The fields after the name, which may contain spaces and parentheses; utime is the 14th field of proc(5)'s list.
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / _TICKS
