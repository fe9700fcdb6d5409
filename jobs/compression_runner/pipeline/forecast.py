"""How much memory and disk a plan needs, from sizes alone.

The factors were measured on MiniLM (2 cores, torch 2.14, onnxruntime 1.32) and hold for peak resident memory: a fixed
part for the libraries, and a multiple of the float32 weights.
"""

from typing import Final

from compression_runner.formats.source.inspection import Source
from compression_runner.pipeline.planner import Plan, Step
from compression_runner.pipeline.resources import MemoryForecast
from compression_runner.stages.method import MIB, Need

MEASURE: Final = Need(150 * MIB, 1.0, 500 * MIB, 2.5)


def memory_forecast(plan: Plan, source: Source) -> MemoryForecast:
    """The need of the hungriest step, measuring included."""
    weights = 4 * source.parameters
    needs = {step.method.name: step.method.need for step in _steps(plan)} | {"measure": MEASURE}
    hungriest = max(needs, key=lambda name: _usual(needs[name], weights))
    expected = _usual(needs[hungriest], weights)
    if "export" in needs:
        # What torch has taken is not given back to the system: the other steps come on top of it.
        hungriest = "export"
        others = (need.usual_factor for name, need in needs.items() if name != "export")
        expected = _usual(needs["export"], weights) + int(max(others) * weights)
    least = max(int(need.least_fixed + need.least_factor * weights) for need in needs.values())
    return MemoryForecast(least, expected, hungriest)


def disk_forecast(plan: Plan, source: Source, data_bytes: int) -> int:
    """Bytes in the work directory: the source, the output of every step at its input's size, and the data."""
    weights = 4 * source.parameters if plan.imported else max(source.weights_bytes, 1)
    return source.total_bytes + len(_steps(plan)) * weights + data_bytes


def _steps(plan: Plan) -> tuple[Step, ...]:
    """What may run: a fallback must not be what a job fails at in the end."""
    return (*plan.every_step, *plan.spare_steps)


def _usual(need: Need, weights: int) -> int:
    return int(need.usual_fixed + need.usual_factor * weights)
