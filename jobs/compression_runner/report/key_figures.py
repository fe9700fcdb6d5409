"""The key figures of a report: size, speed, memory and quality of both models."""

from dataclasses import dataclass

from compression_runner.report import wording
from compression_runner.report.judged_figures import loss_of, speedup_of
from compression_runner.report.objective_rows import TOKENS, Terms
from compressionjob.estimate import UNBOUNDED_SECONDS
from compressionjob.field_types import format_bytes
from compressionjob.objectives import DIVERGENCES, ERROR_METRICS
from compressionjob.report import Report


@dataclass(frozen=True)
class Tile:
    """One key figure: the compressed model's, the baseline's, and the change."""

    title: str
    value: str
    before: str
    change: str


def key_figures(report: Report, terms: Terms) -> list[Tile]:
    """Return the measured figures, the most important first."""
    before, after = report.baseline, report.compressed
    change = f"{wording.significant(after.size_bytes / max(before.size_bytes, 1))} of the baseline"
    tiles = [Tile("Size", format_bytes(after.size_bytes), format_bytes(before.size_bytes), change)]
    for name in ("p50", "p99"):
        tiles.extend(_latency(report, terms, name))
    if after.throughput_per_second and before.throughput_per_second:
        ratio = wording.significant(after.throughput_per_second / before.throughput_per_second)
        rates = [wording.number(side.throughput_per_second or 0.0, terms.rate) for side in (after, before)]
        tiles.append(Tile("Throughput", rates[0], rates[1], f"{ratio} times"))
    if after.peak_memory_bytes and before.peak_memory_bytes:
        ratio = wording.significant(after.peak_memory_bytes / before.peak_memory_bytes)
        peaks = [wording.number(side.peak_memory_bytes or 0, terms.memory) for side in (after, before)]
        tiles.append(Tile("Peak memory", peaks[0], peaks[1], f"{ratio} of the baseline"))
    if after.gpu_memory_bytes and before.gpu_memory_bytes:
        ratio = wording.significant(after.gpu_memory_bytes / before.gpu_memory_bytes)
        sizes = [format_bytes(side.gpu_memory_bytes or 0) for side in (after, before)]
        tiles.append(Tile("GPU memory", sizes[0], sizes[1], f"{ratio} of the baseline"))
    if after.energy_joules_per_sample and before.energy_joules_per_sample:
        ratio = wording.significant(after.energy_joules_per_sample / before.energy_joules_per_sample)
        joules = [f"{wording.significant(side.energy_joules_per_sample or 0.0)} J" for side in (after, before)]
        tiles.append(Tile("Energy of a sample", joules[0], joules[1], f"{ratio} of the baseline"))
    loss = loss_of(report, terms, terms.metric)
    if terms.metric in after.quality and loss is not None:
        tiles.append(_quality(report, terms.metric, loss.value))
    if terms.metric in DIVERGENCES and terms.metric in after.quality:
        apart = wording.number(after.quality[terms.metric], wording.metric_unit(terms.metric))
        tiles.append(Tile(terms.metric[:2].upper() + terms.metric[2:], apart, "0", "nats from the baseline"))
    return tiles


def _latency(report: Report, terms: Terms, name: str) -> list[Tile]:
    before, after = report.baseline.latency_seconds, report.compressed.latency_seconds
    if name not in before or name not in after:
        return []
    old, new = before[name], after[name]
    speedup = speedup_of(report, terms, name)
    faster = speedup.value if speedup else old / new
    # In a queue, a model that cannot keep up with the rate has no latency.
    endless = old >= UNBOUNDED_SECONDS and new >= UNBOUNDED_SECONDS
    change = "both are slower than the rate" if endless else f"{wording.significant(faster)} times as fast"
    tiles = [Tile(f"Latency {name}", wording.duration(new), wording.duration(old), change)]
    if terms.rate == TOKENS and name == "p50":
        texts = report.job.batch_size
        each = [wording.number(texts / seconds, terms.rate) for seconds in (new, old)]
        title = "Decoding, one text" if texts == 1 else f"Decoding, {texts} texts at once"
        tiles.append(Tile(title, each[0], each[1], change))
    return tiles


def _quality(report: Report, metric: str, drop: float) -> Tile:
    change = "nothing lost" if drop == 0 else _change(metric, drop)
    unit = wording.metric_unit(metric)
    scores = [wording.number(side.quality.get(metric, 1.0), unit) for side in (report.compressed, report.baseline)]
    return Tile(metric.capitalize(), scores[0], scores[1], change)


def _change(metric: str, drop: float) -> str:
    words = ("more", "less") if metric in ERROR_METRICS else ("lost", "gained")
    word, amount = words[0 if drop > 0 else 1], wording.lost(metric, abs(drop))
    return f"{amount} {word}" if metric in ERROR_METRICS else f"{word} {amount}"
