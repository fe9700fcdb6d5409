"""How much memory and disk a plan needs, from sizes alone.

The factors were measured on MiniLM (2 cores, torch 2.14, onnxruntime 1.32) and hold for peak resident memory: a fixed
part for the libraries, and a multiple of the float32 weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from compression_runner.pipeline.planner import Plan
from compression_runner.preflight.resources import MemoryForecast
from compression_runner.preflight.source import Source

MIB: Final = 1 << 20


@dataclass(frozen=True)
class Need:
    """Fixed bytes, and bytes for each byte of float32 weights: what is needed for certain, and what is usual."""

    least_fixed: int
    least_factor: float
    usual_fixed: int
    usual_factor: float


NEEDS: Final[Mapping[str, Need]] = {
    "export": Need(450 * MIB, 2.0, 760 * MIB, 5.5),
    "prune": Need(150 * MIB, 1.0, 450 * MIB, 2.5),
    "quantize": Need(150 * MIB, 2.0, 350 * MIB, 3.0),
    "pack": Need(100 * MIB, 0.0, 200 * MIB, 0.5),
    "measure": Need(150 * MIB, 1.0, 500 * MIB, 2.5),
}


def memory_forecast(plan: Plan, source: Source) -> MemoryForecast:
    """The need of the hungriest step, measuring included."""
    weights = 4 * source.parameters
    names = [*(step.method.name for step in plan.every_step), "measure"]
    hungriest = max(names, key=lambda name: _usual(name, weights))
    expected = _usual(hungriest, weights)
    if "export" in names:
        # What torch has taken is not given back to the system: the other steps come on top of it.
        hungriest = "export"
        others = (NEEDS[name].usual_factor for name in names if name != "export")
        expected = _usual("export", weights) + int(max(others) * weights)
    least = max(int(NEEDS[name].least_fixed + NEEDS[name].least_factor * weights) for name in names)
    return MemoryForecast(least, expected, hungriest)


def disk_forecast(plan: Plan, source: Source, data_bytes: int) -> int:
    """Bytes in the work directory: the source, the output of every step at its input's size, and the data."""
    return source.total_bytes + len(plan.every_step) * max(source.weights_bytes, 1) + data_bytes


def _usual(name: str, weights: int) -> int:
    return int(NEEDS[name].usual_fixed + NEEDS[name].usual_factor * weights)
