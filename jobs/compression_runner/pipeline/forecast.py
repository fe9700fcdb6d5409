"""How much memory, disk and time a plan needs, from sizes alone.

A run is one process, and what torch and the exporter have taken is not given back to the system: a step comes on top of
what is left of those before it. Peak resident memory was measured (Python 3.11, torch 2.14, onnxruntime 1.32, 2 cores)
of runs that export BERT models and quantize them to INT8, of the same from ONNX, and of stacks of matrix products with
arrays as data, by the float32 weights W; MB are 1e6 bytes:

| source | W | before | export, after it | quantize | measure | files of it |
|---|---|---|---|---|---|---|
| Transformers, text | 91 | 708 | 1372, 1186 | 1642 | 1467 | 522 |
| Transformers, text | 438 | 708 | 2806, 1846 | 3402 | 2958 | |
| ONNX, text | 91 | 704 | | 1229 | 1076 | 327 |
| ONNX, arrays | 400 | 167 | | 1875 | 1637 | 94 |
| ONNX, arrays | 0 | 166 | | 183 | 299 | 93 |

The constants that no line of the table gives follow runPeakBytes in benchmarks/methods/results.json: small models of
images and motion (export, training), SmolLM2 (calibration, pruning before the export, windows of 256 and 1024 tokens),
and tables.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from compression_runner.formats.source.inspection import Source
from compression_runner.pipeline.planner import Plan, Step
from compression_runner.pipeline.resources import MemoryForecast
from compression_runner.stages.method import MIB, Need
from compressionjob.methods.quantize import WeightOnly
from compressionjob.schema import parse_duration
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS, Task

MB: Final = 1_000_000
MEASURE: Final = Need(150 * MIB, 1.0, 280 * MIB, 3.2)
MEASURE_STEP: Final = "measure"

TRAIN: Final = Need(500 * MIB, 5.0, 1600 * MB, 8.0)
TRAIN_ROUNDED: Final = Need(500 * MIB, 5.0, 1600 * MB, 24.0)
"""Quantization-aware training keeps what each layer rounds."""
ROUNDING: Final = 1.2
"""Copies of the weights that weight-only quantization takes without calibration data: it goes weight by weight."""
CALIBRATION: Final = 1.0
"""Copies of the weights that a step with calibration data takes beside its own."""

PLAIN: Final = 170 * MB
"""Resident before the first step: the interpreter, numpy and onnxruntime."""
WITH_TABLES: Final = 430 * MB
WITH_TORCH: Final = 710 * MB
"""The same with torch and transformers, which also prepare texts, pictures and recordings."""
BEFORE: Final = {"arrays": PLAIN, "features": WITH_TABLES}
NEXT_STEP: Final = 150 * MB
"""What a step takes beside copies of the weights."""

EXPORT_STEP: Final = "export"
EXPORT_PEAK: Final = (1000 * MB, 4.2)
AFTER_EXPORT: Final = (1325 * MB, 1.9)
"""What the graph's export leaves, and what a step takes beside copies of the weights."""
BEFORE_EXPORT: Final = ("import", "prune", "factorize")
LEAVES_COPIES: Final = ("prune", "factorize")
COPY_BEFORE: Final = 1.5
"""Copies of the weights that such steps leave behind, which the export comes on top of; as many for calibration."""
MEASURE_AFTER: Final = 1.2
"""Copies that measuring takes after an export, of whose memory it uses some again."""
MEASURE_TOKEN: Final = 0.003
"""Copies for each token of a window of running text: its logits, and what is remembered of the tokens before."""
MARGIN: Final = 1.05
"""Between what was measured and what is expected: other models, other versions."""
CERTAIN: Final = (1165 * MB, 5.1)
FILES: Final = 520 * MB
"""Of torch's and onnxruntime's libraries in memory, which the kernel may drop where memory is short."""
SURELY: Final = 0.87
"""Share of the rest of CERTAIN that no run which exports and quantizes does without."""

MEASURED_WEIGHTS: Final = 91 * MB
"""Weights of the model that the methods' effort is about."""
SLOW: Final = 8.0
"""Seconds for each unit of effort on a machine that is slow or busy."""
QUICK: Final = 0.3
"""The same on one that is fast and idle."""
SLOW_RATE: Final = 1e10
"""Floating-point operations a second of such a machine."""
PLACES: Final = 64
QUICKEST_MEASURING: Final = 5.0
"""Seconds, where the first look decides every limit."""


@dataclass(frozen=True)
class TimeForecast:
    """Seconds that a run takes beside fetching: from the first look that decides to the benchmark's time limit."""

    least: float
    most: float
    trained: tuple[str, ...]
    """Stages whose training comes on top: how long it takes depends on the data."""


def memory_forecast(plan: Plan, source: Source, task: Task, sequence_length: int = 0) -> MemoryForecast:
    """The need of the hungriest step, measuring included; `sequence_length` is that of windows of running text."""
    weights = _float32_bytes(source)
    tokens = MEASURE_TOKEN * sequence_length if TASKS[task].running_text else 0.0
    measuring = replace(MEASURE, usual_factor=MEASURE.usual_factor + tokens)
    needs = {step.method.name: _need(step) for step in _steps(plan)} | {MEASURE_STEP: measuring}
    least = max(need.least_fixed + need.least_factor * weights for need in needs.values())
    if EXPORT_STEP in needs:
        peaks = _with_export(needs, weights, tokens, calibrates=any(map(_calibrates, _steps(plan))))
        if "quantize" in needs and not any(map(_only_rounds, _steps(plan))):
            least = max(least, SURELY * (CERTAIN[0] + CERTAIN[1] * weights - FILES))
    else:
        before = BEFORE.get(TASKS[task].content, WITH_TORCH)
        peaks = {name: _on_top_of(before + NEXT_STEP, need, weights) for name, need in needs.items()}
    hungriest = max(peaks, key=lambda name: peaks[name])
    return MemoryForecast(int(least), int(MARGIN * peaks[hungriest]), hungriest)


def _need(step: Step) -> Need:
    need = step.method.need
    if step.trains:
        return TRAIN_ROUNDED if step.method.name == "quantize" else TRAIN
    if _only_rounds(step):
        return replace(need, usual_factor=ROUNDING)
    return replace(need, usual_factor=need.usual_factor + CALIBRATION) if _calibrates(step) else need


def _only_rounds(step: Step) -> bool:
    """Return whether a step quantizes weights as they are, without data."""
    return isinstance(step.parameters, WeightOnly) and not _calibrates(step)


def _calibrates(step: Step) -> bool:
    return step.parameters is not None and "calibration" in step.parameters.needs()


def _with_export(needs: Mapping[str, Need], weights: int, tokens: float, *, calibrates: bool) -> dict[str, float]:
    """Return the peak of each step of a run that exports, by its name; `tokens` are copies for those of a window."""
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
    """Return the peak of a step that begins with so much, and not less than it takes by itself."""
    return max(float(need.usual_fixed), before) + need.usual_factor * weights


def time_forecast(plan: Plan, source: Source, spec: CompressionJobSpec) -> TimeForecast:
    """The time of all steps by their effort, which grows with the weights, and of measuring."""
    steps = [step for step in plan.every_step if not step.trains]
    effort = sum(step.method.effort for step in steps) * max(1.0, _float32_bytes(source) / MEASURED_WEIGHTS)
    # Both models answer all samples, and limits that stay open are measured until the time is up.
    answers = 2 * spec.data.evaluation.limit * source.parameters * 2 * _reuse(spec) / SLOW_RATE
    longest = SLOW * effort + answers + parse_duration(spec.benchmark.time_limit)
    trained = tuple(step.title for step in plan.every_step if step.trains)
    return TimeForecast(QUICKEST_MEASURING + QUICK * effort, longest, trained)


def _reuse(spec: CompressionJobSpec) -> int:
    """Return how often each weight is used for one sample, about: for each token, or each place of a picture."""
    return spec.benchmark.sequence_length if TASKS[spec.model.task].content == "text" else PLACES


def disk_forecast(plan: Plan, source: Source, data_bytes: int) -> int:
    """Bytes in the work directory: the source, the output of every step at its input's size, and the data."""
    weights = 4 * source.parameters if plan.imported else max(source.weights_bytes, 1)
    return source.total_bytes + len(_steps(plan)) * weights + data_bytes


def _float32_bytes(source: Source) -> int:
    """Return the bytes of the weights in float32; not less than their file has, where not all of them are counted."""
    return max(4 * source.parameters, source.weights_bytes)


def _steps(plan: Plan) -> tuple[Step, ...]:
    """What may run: a fallback must not be what a job fails at in the end."""
    return (*plan.every_step, *plan.spare_steps)
