"""Forecast the memory, disk space and time of a plan, from sizes alone.

A run is one process, and torch and the exporter do not return their memory to the system: the memory of a step adds to
that of earlier steps. Peak resident memory was measured (Python 3.11, torch 2.14, onnxruntime 1.32, 2 cores) for runs
that export BERT models and quantize them to INT8, for the same runs from ONNX, and for stacks of matrix products with
arrays as data, by the float32 weights W; MB are 1e6 bytes:

| source | W | before | export, after it | quantize | measure | files of it |
|---|---|---|---|---|---|---|
| Transformers, text | 91 | 708 | 1372, 1186 | 1642 | 1467 | 522 |
| Transformers, text | 438 | 708 | 2806, 1846 | 3402 | 2958 | |
| ONNX, text | 91 | 704 | | 1229 | 1076 | 327 |
| ONNX, arrays | 400 | 167 | | 1875 | 1637 | 94 |
| ONNX, arrays | 0 | 166 | | 183 | 299 | 93 |

Constants that are not in the table follow runPeakBytes in benchmarks/methods/results.json: small models of images and
motion (export, training), SmolLM2 (calibration, pruning before the export, windows of 256 and 1024 tokens), and tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from compression_runner.formats.source.inspection import Source
from compression_runner.pipeline.names import PACKED_FORMAT
from compression_runner.pipeline.planner import PipelinePlan, Step
from compression_runner.pipeline.resources import MemoryForecast
from compression_runner.stages.method import MIB, Need
from compressionjob.field_types import parse_duration
from compressionjob.methods.quantize import Vllm, WeightOnly
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS, Task

MB: Final = 1_000_000
MEASURE: Final = Need(150 * MIB, 1.0, 280 * MIB, 3.2)
MEASURE_STEP: Final = "measure"

TRAIN: Final = Need(500 * MIB, 5.0, 1600 * MB, 8.0)
TRAIN_ROUNDED: Final = Need(500 * MIB, 5.0, 1600 * MB, 24.0)
"""Quantization-aware training keeps the rounded tensors of each layer."""
ROUNDING: Final = 1.2
"""Copies of the weights in weight-only quantization without calibration data: it processes one weight at a time."""
CALIBRATION: Final = 1.0
"""Additional copies of the weights in a step with calibration data."""

PLAIN: Final = 170 * MB
"""Resident before the first step: the interpreter, numpy and onnxruntime."""
WITH_TABLES: Final = 430 * MB
WITH_TORCH: Final = 710 * MB
"""The same with torch and transformers, which also prepare texts, images and recordings."""
BEFORE: Final = {"arrays": PLAIN, "features": WITH_TABLES}
NEXT_STEP: Final = 150 * MB
"""Memory of a step besides copies of the weights."""

EXPORT_STEP: Final = "export"
EXPORT_PEAK: Final = (1000 * MB, 4.2)
AFTER_EXPORT: Final = (1325 * MB, 1.9)
"""Memory that remains after the graph's export, including that of a step besides copies of the weights."""
BEFORE_EXPORT: Final = ("import", "prune", "factorize")
LEAVES_COPIES: Final = ("prune", "factorize")
COPY_BEFORE: Final = 1.5
"""Copies of the weights that remain after such steps, before the export; as many for calibration."""
LOAD_STEP: Final = "loading the result"
LOADED: Final = (650 * MB, 2.2)
"""Memory of a second process that loads a packed result, beside what remains after the export (SmolLM2: 1566 MB)."""
MEASURE_AFTER: Final = 1.2
"""Additional copies in the measurement after an export, of whose memory it reuses a part."""
MEASURE_TOKEN: Final = 0.003
"""Copies for each token of a window of running text: its logits and its KV cache."""
MARGIN: Final = 1.05
"""Expected memory as a multiple of the measured one, for other models and versions."""
CERTAIN: Final = (1165 * MB, 5.1)
FILES: Final = 520 * MB
"""Bytes of torch's and onnxruntime's libraries in memory, which the kernel may drop if memory is short."""
SURELY: Final = 0.87
"""Share of the rest of CERTAIN that every run with an export and a quantization needs."""

MEASURED_WEIGHTS: Final = 91 * MB
"""Bytes of the weights of the model for which the methods' effort was measured."""
SLOW: Final = 8.0
"""Seconds per unit of effort on a slow or busy machine."""
QUICK: Final = 0.3
"""Seconds per unit of effort on a fast and idle machine."""
SLOW_RATE: Final = 1e10
"""Floating-point operations per second of a slow machine."""
PLACES: Final = 64
QUICKEST_MEASURING: Final = 5.0
"""Seconds if the first look decides every limit."""


@dataclass(frozen=True)
class TimeForecast:
    """Seconds of a run without fetching: from a decision at the first look to the benchmark's time limit."""

    least: float
    most: float
    trained: tuple[str, ...]
    """Stages whose training is not included: its duration depends on the data."""


def memory_forecast(plan: PipelinePlan, source: Source, task: Task, sequence_length: int = 0) -> MemoryForecast:
    """Return the memory of the peak step, which may be the measurement; `sequence_length` is that of text windows."""
    weights = _float32_bytes(source)
    tokens = MEASURE_TOKEN * sequence_length if TASKS[task].running_text else 0.0
    measuring = replace(MEASURE, usual_factor=MEASURE.usual_factor + tokens)
    needs = {step.method.name: _need(step) for step in _steps(plan)} | {MEASURE_STEP: measuring}
    least = max(need.least_fixed + need.least_factor * weights for need in needs.values())
    if EXPORT_STEP in needs:
        peaks = _with_export(needs, weights, tokens, calibrates=any(map(_calibrates, _steps(plan))))
        if any(step.format == PACKED_FORMAT for step in _steps(plan)):
            peaks[LOAD_STEP] = AFTER_EXPORT[0] + LOADED[0] + (AFTER_EXPORT[1] + LOADED[1]) * weights
        if "quantize" in needs and not any(map(_only_rounds, _steps(plan))):
            least = max(least, SURELY * (CERTAIN[0] + CERTAIN[1] * weights - FILES))
    else:
        before = BEFORE.get(TASKS[task].content, WITH_TORCH)
        peaks = {name: _on_top_of(before + NEXT_STEP, need, weights) for name, need in needs.items()}
    peak_step = max(peaks, key=lambda name: peaks[name])
    return MemoryForecast(int(least), int(MARGIN * peaks[peak_step]), peak_step)


def _need(step: Step) -> Need:
    need = step.method.need
    if step.trains:
        return TRAIN_ROUNDED if step.method.name == "quantize" else TRAIN
    if _only_rounds(step):
        return replace(need, usual_factor=ROUNDING)
    return replace(need, usual_factor=need.usual_factor + CALIBRATION) if _calibrates(step) else need


def _only_rounds(step: Step) -> bool:
    """Return whether a step quantizes weights without data."""
    return isinstance(step.parameters, WeightOnly | Vllm) and not _calibrates(step)


def _calibrates(step: Step) -> bool:
    return step.parameters is not None and "calibration" in step.parameters.needs()


def _with_export(needs: Mapping[str, Need], weights: int, tokens: float, *, calibrates: bool) -> dict[str, float]:
    """Return the peak of each step of a run with an export, by name; `tokens` is the copies for a window's tokens."""
    left = AFTER_EXPORT[0] + AFTER_EXPORT[1] * weights
    copies = COPY_BEFORE * (1 + calibrates) if any(name in needs for name in LEAVES_COPIES) else 0.0
    exported = EXPORT_PEAK[0] + (EXPORT_PEAK[1] + copies) * weights
    after = {name: need for name, need in needs.items() if name not in BEFORE_EXPORT and need.usual_fixed < left}
    alone = {name: need for name, need in needs.items() if name not in after}
    return {
        **{name: _on_top_of(WITH_TORCH + NEXT_STEP, need, weights) for name, need in alone.items()},
        **{name: _on_top_of(left, need, weights) for name, need in after.items()},
        EXPORT_STEP: exported,
        MEASURE_STEP: left + (MEASURE_AFTER + tokens) * weights,
    }


def _on_top_of(before: float, need: Need, weights: int) -> float:
    """Return the peak of a step that begins with `before` bytes; at least that of the step alone."""
    return max(float(need.usual_fixed), before) + need.usual_factor * weights


def time_forecast(plan: PipelinePlan, source: Source, spec: CompressionJobSpec) -> TimeForecast:
    """Return the time of all steps, by their effort and the weights, and of the measurement."""
    steps = [step for step in plan.every_step if not step.trains]
    effort = sum(step.method.effort for step in steps) * max(1.0, _float32_bytes(source) / MEASURED_WEIGHTS)
    # Both models answer all samples, and undecided limits are measured until the time limit.
    answers = 2 * spec.data.evaluation.limit * source.parameters * 2 * _reuse(spec) / SLOW_RATE
    longest = SLOW * effort + answers + parse_duration(spec.benchmark.time_limit)
    trained = tuple(step.title for step in plan.every_step if step.trains)
    return TimeForecast(QUICKEST_MEASURING + QUICK * effort, longest, trained)


def _reuse(spec: CompressionJobSpec) -> int:
    """Return about how often each weight is used for one sample: for each token, or each place of an image."""
    return spec.benchmark.sequence_length if TASKS[spec.model.task].content == "text" else PLACES


def disk_forecast(plan: PipelinePlan, source: Source, data_bytes: int) -> int:
    """Return bytes in the work directory: the source, the output of every step at its input's size, and the data."""
    weights = 4 * source.parameters if plan.imported else max(source.weights_bytes, 1)
    return source.total_bytes + len(_steps(plan)) * weights + data_bytes


def _float32_bytes(source: Source) -> int:
    """Return the bytes of the weights in float32; at least those of their file, if not all are counted."""
    return max(4 * source.parameters, source.weights_bytes)


def _steps(plan: PipelinePlan) -> tuple[Step, ...]:
    """Return all steps that may run, including those of fallbacks."""
    return (*plan.every_step, *plan.spare_steps)
