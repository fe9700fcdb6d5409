"""Format numbers and names for the report."""

import math
import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any, Final

from markupsafe import Markup, escape

from compressionjob import figures, sla_objectives
from compressionjob.estimate import UNBOUNDED_SECONDS, Estimate, unbounded
from compressionjob.field_types import format_bytes
from compressionjob.measuring import NODE, SHARED, STATIC_CPUS
from compressionjob.objectives import ERROR_METRICS
from compressionjob.report import Environment
from compressionjob.serving import GOODPUT, LONGER, SHORTER

BINARY: Final = "bytes in powers of two"
ROUNDED_UP: Final = 0.9995
"""The share of a unit from which three digits of the smaller unit would be rounded to 1,000."""
METRICS: Final = {
    "cosine": "mean cosine between the two models' outputs for the same input (1 is identical direction); of several "
    "outputs the worst of each input counts",
    "neighbours": "share of inputs whose most similar other input stays the same",
    "matches": "how many output rows (detections) both models give: the F1 of matched rows, mean over inputs",
    "agreement": "share of inputs that both models answer alike (of several labels: share of labels)",
    "subsetAgreement": "share of inputs for which both models set the same labels",
    "accuracy": "share of inputs answered right (of several labels: share of labels)",
    "subsetAccuracy": "share of inputs for which all labels are right",
    "f1Micro": "harmonic mean of precision and recall over all labels together",
    "f1Macro": "harmonic mean of precision and recall, mean over labels",
    "precision": "how often a claimed class is right (mean over classes where there are more than two)",
    "recall": "how often a class that is there is found (mean over classes where there are more than two)",
    "f1": "harmonic mean of precision and recall",
    "correlation": "Pearson's correlation of the two models' predictions (1: they rise and fall together)",
    "rouge1": "ROUGE-1: words that a summary shares with its reference (F-measure, mean over samples)",
    "rouge2": "ROUGE-2: pairs of words that a summary shares with its reference (F-measure, mean over samples)",
    "rougeL": "ROUGE-L: the longest sequence of words that a summary shares with its reference (F-measure, mean)",
    "wer": "word error rate: words to change, add or leave out, as a share of the words that were said (less is "
    "better; lost is the increase as a share of the baseline's)",
    "mae": "mean absolute error (less is better; lost is the increase as a share of the baseline's)",
    "mse": "mean squared error (less is better; lost is the increase as a share of the baseline's)",
    "klDivergence": "mean Kullback-Leibler divergence of the next token's distribution from the baseline's, in nats "
    "(an error: less is better; the baseline's is 0)",
    "klDivergenceP99": "99th percentile over tokens of the Kullback-Leibler divergence of the next token's "
    "distribution from the baseline's, in nats (an error: less is better; the baseline's is 0)",
    "perplexity": "how many tokens the model wavers between on average: e to the mean negative log likelihood of the "
    "next token (an error: less is better; lost is the increase as a share of the baseline's)",
}

_OBJECTIVES: Final = {
    sla_objectives.QUALITY_DROP: "Loss of {metric}",
    sla_objectives.QUALITY_SCORE: "{metric}",
    sla_objectives.QUALITY_INCREASE: "Increase of {metric}",
    sla_objectives.QUALITY_ERROR: "{metric}",
    sla_objectives.LATENCY: "Latency, {percentile}",
    sla_objectives.SPEEDUP: "Speed-up, {percentile}",
    sla_objectives.THROUGHPUT: "Throughput",
    sla_objectives.SIZE_RATIO: "Size, share of the baseline",
    sla_objectives.SIZE: "Size",
    sla_objectives.MEMORY: "Peak memory",
    sla_objectives.MEMORY_RATIO: "Peak memory, share of the baseline",
    sla_objectives.COST: "Cost per million samples",
    sla_objectives.WORST_GROUP: "Worst group",
    sla_objectives.GAP: "Gap between groups",
    sla_objectives.GAP_INCREASE: "Increase of the gap between groups",
    f"{sla_objectives.ROBUSTNESS}.noise.drop": "Loss under noise",
    f"{sla_objectives.ROBUSTNESS}.noise.score": "Right answers under noise",
    f"{sla_objectives.ROBUSTNESS}.corruption.drop": "Loss on corrupted inputs",
    f"{sla_objectives.ROBUSTNESS}.corruption.score": "Right answers to corrupted inputs",
    f"{sla_objectives.ROBUSTNESS}.attack.drop": "Loss under attack",
    f"{sla_objectives.ROBUSTNESS}.attack.score": "Right answers under attack",
    sla_objectives.ATTRIBUTIONS: "Agreement of attributions",
    sla_objectives.FLIPS: "Answers that changed",
    sla_objectives.RECOVERY: "Lowest recovery of a task",
    "ttft": "Time to first token, {percentile}",
    "ttft.ratio": "Time to first token, {percentile}, ratio to the baseline",
    "interToken": "Gap between tokens, {percentile}",
    "interToken.ratio": "Gap between tokens, {percentile}, ratio to the baseline",
    "timePerOutputToken": "Time per output token, {percentile}",
    "timePerOutputToken.ratio": "Time per output token, {percentile}, ratio to the baseline",
    "endToEnd": "Time to last token, {percentile}",
    "endToEnd.ratio": "Time to last token, {percentile}, ratio to the baseline",
    GOODPUT: "Goodput",
    f"{GOODPUT}.ratio": "Goodput, ratio to the baseline",
    SHORTER: "Length of answers, ratio to the baseline",
    LONGER: "Length of answers, ratio to the baseline",
}

_LABELS: Final = {
    "cpu": "processor",
    "maxAbsDifference": "largest difference of outputs",
    "frequencyGHz": "mean frequency in GHz",
}
"""Readable names of fields."""
_ABBREVIATIONS: Final = {"cpus": "CPUs", "gpu": "GPU", "gpus": "GPUs", "uri": "address", "sha256": "SHA-256"}
_FIGURE: Final = re.compile(
    r"(?<![\w.,])([-+−]?\d[\d.,]*\d? (?:%|µs|ms|s|min|h|[kMGTP]i?B|B|[kM]?J|tokens/s|GHz)(?!\w))"
)
"""A number and its unit."""

_ISOLATIONS: Final = {
    STATIC_CPUS: "its node reserved them for the pod alone",
    NODE: "no other pod of a CompressionJob was on its node",
    "Turns": "local runs on the machine took turns",
    SHARED: "nothing kept other work off them",
}


def measured_on(environment: Environment) -> str:
    """Return the CPUs of the measurement and their isolation, in one sentence; empty for an old report."""
    if not environment.measured_cpus:
        return ""
    pinned = "pinned" if environment.pinned else "not pinned"
    isolation = _ISOLATIONS.get(environment.isolation, environment.isolation)
    return f"Measured on CPUs {environment.measured_cpus}, {pinned}; {isolation}."


def ran_in(environment: Environment) -> str:
    """Return engine, device and precision of both models in one sentence; empty for an old report."""
    if not environment.device:
        return ""
    device = "the CPU" if environment.device == "CPU" else environment.device
    driver = f" (driver {environment.driver})" if environment.driver else ""
    return f"Both models ran in {environment.measured_in} on {device}{driver}. Precision: {environment.precision}."


def placed(environment: Environment) -> list[tuple[str, str]]:
    """Return for each model where the nodes of its graph ran; empty for engines on the CPU."""
    rows = []
    for part in environment.placement:
        shapes = f"; shapes on the CPU: {_counted(part.shapes_on_cpu)}" if part.shapes_on_cpu else ""
        rows.append((f"nodes of the {part.model} model", f"{_counted(part.nodes)}{shapes}"))
    return rows


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def objective_title(name: str, metric: str, percentile: str) -> str:
    """Return the title of an objective in the report."""
    text = _OBJECTIVES.get(name, name).format(metric=metric, percentile=percentile)
    return text[:1].upper() + text[1:]


def unit_as_written(limit: float, unit: str) -> str:
    """Return the unit for the figures of a limit: powers of two if the user wrote those."""
    return BINARY if unit == "bytes" and format_bytes(limit, like=limit).endswith("i") else unit


def number(value: float, unit: str) -> str:
    """Return a figure with its unit."""
    if unit == "seconds":
        return duration(value)
    if unit == "bytes":
        return format_bytes(value)
    if unit == BINARY:
        return format_bytes(value, like=2**20)
    if unit in ("samples per second", "requests per second"):
        return f"{significant(value)}/s"
    if unit == "tokens per second":
        return f"{significant(value)} tokens/s"
    if unit == "error":
        return significant(value, 5)
    return f"{value:.4f}" if unit == "score" else significant(value)


def metric_unit(metric: str) -> str:
    """Return the unit of a metric: score, or error if less is better."""
    return "error" if metric in ERROR_METRICS else "score"


def lost(metric: str, value: float) -> str:
    """Return a loss: the drop of a score, or the increase of an error in per cent."""
    return per_cent(value) if metric in ERROR_METRICS else f"{value:.4f}"


def duration(seconds: float) -> str:
    """Return a duration with three significant digits, or "no bound" for an unbounded one."""
    if seconds >= UNBOUNDED_SECONDS:
        return "no bound"
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= size * ROUNDED_UP:
            return f"{significant(seconds / size)} {unit}"
    return f"{significant(seconds / 1e-6)} µs"


def energy(joules: float) -> str:
    """Return an energy with three significant digits."""
    for size, unit in ((1e6, "MJ"), (1e3, "kJ")):
        if joules >= size * ROUNDED_UP:
            return f"{significant(joules / size)} {unit}"
    return f"{significant(joules)} J"


def significant(value: float, digits: int = 3) -> str:
    """Return a number with `digits` significant digits, never in scientific notation."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])  # of the rounded number
    decimals = max(0, digits - 1 - exponent)
    return f"{value:,.{min(decimals, 9)}f}"


def span(estimate: Estimate | None, unit: str) -> str:
    """Return an interval; empty for an exact number."""
    if estimate is None or estimate.low == estimate.high:
        return ""
    if unbounded(estimate.high, unit):
        return f"at least {number(estimate.low, unit)}"
    return f"{number(estimate.low, unit)} to {number(estimate.high, unit)}"


def per_cent(share: float) -> str:
    """Return a share as per cent, with three significant digits."""
    return f"{figures.short_number(share * 100, 3)} %"


def flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Flatten nested fields to (name, text) lines, in order."""
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            lines.extend(flat(value, f"{name}."))
        elif isinstance(value, list):
            lines.append((name, ", ".join(str(item) for item in value) or "none"))
        elif value is not None:
            lines.append((name, _fact(key, value)))
    return lines


def spoken(name: str) -> str:
    """Return the last part of a camelCase path as words: noise.otherShare is "other share"."""
    last = name.rsplit(".", 1)[-1]
    if last in _LABELS:
        return _LABELS[last]
    words = re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f" {match[1].lower()}", last)
    return " ".join(_ABBREVIATIONS.get(word, word) for word in words.removesuffix(" bytes").split(" "))


def spoken_path(name: str) -> str:
    """Return a camelCase path as words: source.sizeBytes is "source size"."""
    return " ".join(spoken(part) for part in name.split("."))


def unbroken(text: str) -> Markup:
    """Return text as HTML without line breaks between a figure and its unit."""
    pieces = _FIGURE.split(text)
    # re.split returns the matches of the group at odd indices.
    marked = (Markup('<span class="figure">{}</span>').format(one) for one in pieces[1::2])
    return Markup("").join(piece for pair in zip_longest(map(escape, pieces[::2]), marked) for piece in pair if piece)


def _fact(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith("Bytes") and isinstance(value, (int, float)):
        return format_bytes(value)
    if name.endswith("Share") and isinstance(value, (int, float)):
        return per_cent(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
