"""The page itself: a report's figures put into words, pictures and tables, and into the template."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import jinja2
import yaml

from compression_runner.report import wording
from compression_runner.report.charts import PLOT_HEIGHT, PLOT_WIDTH, TRACK, Track, distribution, track
from compressionjob.estimate import UNBOUNDED_SECONDS, Estimate
from compressionjob.group import API_VERSION, JOB_KIND
from compressionjob.objectives import ERROR_METRICS
from compressionjob.report import ModelFigures, Report
from compressionjob.schema import format_bytes
from compressionjob.sla import LATENCY, ObjectiveResult
from compressionjob.tasks import TASKS

VERDICTS: Final = {
    "Pass": ("✓", "Pass", "Every limit is kept."),
    "Fail": ("✕", "Fail", "A limit is broken."),
    "Inconclusive": ("?", "Inconclusive", "The measurement cannot tell."),
}

MEASURING: Final = ("evaluate baseline", "evaluate compressed", "latency", "throughput", "memory")
"""Phases that would not be there if nothing were measured."""
WHOLE_MEASURING: Final = "measuring"
"""All of them together, where the run tells it."""

SAMPLES: Final = "samples per second"
TOKENS: Final = "tokens per second"

SHOWN_ELSEWHERE: Final = ("job", "stages", "pipeline", "verdict", "files", "notes")
"""Facts of environment, provenance and artifact that have their own place on the page."""


@dataclass(frozen=True)
class ObjectiveView:
    """One objective as the page shows it."""

    title: str
    result: ObjectiveResult
    limit: str
    measured: str
    span: str
    track: Track


@dataclass(frozen=True)
class Tile:
    """One key figure: the compressed model's, the baseline's, and how they compare."""

    title: str
    value: str
    before: str
    change: str


@dataclass(frozen=True)
class Bar:
    """One bar of a chart; `share` is of the longest, from 0 to 1."""

    name: str
    note: str
    text: str
    share: float
    kind: str


def render_html(report: Report, now: datetime | None = None) -> str:
    """Return the page: HTML without scripts and without anything that is fetched from elsewhere."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("compression_runner.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(_view(report, now or datetime.now(UTC)))


def _view(report: Report, now: datetime) -> dict[str, Any]:
    spec = report.job.get("spec", {})
    metric, percentile = _metric(report, spec), _path(spec, "sla", "latency", "percentile") or "p99"
    mark, word, meaning = VERDICTS[report.verdict]
    rate = _rate(spec)
    objectives = [_objective(result, metric, percentile, rate) for result in report.objectives]
    return {
        "report": report,
        "job": report.job.get("name") or "job",
        "source": _path(spec, "model", "source") or "",
        "destination": _path(spec, "output", "destination") or "",
        "task": _path(spec, "model", "task") or "",
        "written": now.strftime("%Y-%m-%d %H:%M UTC"),
        "verdict": {"mark": mark, "word": word, "meaning": meaning, "kind": report.verdict.lower()},
        "confidence": wording.per_cent(report.confidence),
        "sentence": _sentence(report, objectives) or meaning,
        "objectives": objectives,
        "tiles": _tiles(report, metric, rate),
        "sizes": _sizes(report),
        "distribution": _distribution(report),
        "latencies": _latencies(report),
        "quality": _quality(report),
        "quality_note": _quality_note(report, rate),
        "stages": report.stages,
        "phases": _phases(report),
        "measuring": _measuring(report),
        "notes": [str(note) for note in report.environment.get("notes", [])],
        "environment": [(wording.spoken(name), text) for name, text in _facts(report.environment)],
        "provenance": _facts(report.provenance),
        "artifact": _facts({key: item for key, item in report.artifact.items() if key != "packing"}),
        "files": [item for item in report.artifact.get("files", []) if isinstance(item, dict)],
        "manifest": _manifest(report, spec),
        "bytes": format_bytes,
        "duration": wording.duration,
        "flat": wording.flat,
        "plot": {"width": PLOT_WIDTH, "height": PLOT_HEIGHT, "track": TRACK},
    }


def _facts(tree: dict[str, Any]) -> list[tuple[str, str]]:
    return wording.flat({key: item for key, item in tree.items() if key not in SHOWN_ELSEWHERE})


def _sentence(report: Report, objectives: list[ObjectiveView]) -> str:
    """Return the verdict in one plain sentence."""
    if not objectives:
        return report.sentence
    count = len(objectives)
    if report.verdict == "Pass":
        return f"All {count} limits are kept." if count > 1 else "The one limit is kept."
    start = (
        "The limit is broken for"
        if report.verdict == "Fail"
        else "The measurement cannot tell whether the limit holds for"
    )
    deciding = [item for item in objectives if item.result.verdict == report.verdict]
    parts = [
        f"{item.title[:1].lower()}{item.title[1:]}, which is {item.measured}"
        + (f" ({item.span})" if item.span else "")
        + f" and must be {item.limit}"
        + (f" ({item.result.reason})" if item.result.reason else "")
        for item in deciding
    ]
    return f"{start} {'; and for '.join(parts)}."


def _metric(report: Report, spec: dict[str, Any]) -> str:
    """Return the quality metric that counts: the SLA's, or the task's default."""
    named = _path(spec, "sla", "quality", "metric")
    traits = TASKS.get(_path(spec, "model", "task"))
    return str(named or next((m for m in (traits.defaults if traits else ()) if m in report.quality_drops), "quality"))


def _path(tree: Any, *names: str) -> Any:
    for name in names:
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def _rate(spec: dict[str, Any]) -> str:
    """Return the unit of a throughput: a language model is measured by the tokens that it writes."""
    traits = TASKS.get(_path(spec, "model", "task"))
    return TOKENS if traits and traits.running_text else SAMPLES


def _objective(result: ObjectiveResult, metric: str, percentile: str, rate: str) -> ObjectiveView:
    unit = rate if result.unit == SAMPLES else result.unit
    interval = None
    if result.measured is not None and result.low is not None and result.high is not None:
        interval = Estimate(value=result.measured, low=result.low, high=result.high)
    return ObjectiveView(
        title=wording.objective_title(result.name, metric, percentile),
        result=result,
        limit=f"{result.direction} {wording.number(result.limit, unit)}",
        measured="not measured" if result.measured is None else wording.number(result.measured, unit),
        span=wording.span(interval, unit),
        track=track(result),
    )


def _tiles(report: Report, metric: str, rate: str) -> list[Tile]:
    before, after = report.baseline, report.compressed
    tiles = [
        Tile(
            "Size",
            format_bytes(after.size_bytes),
            format_bytes(before.size_bytes),
            f"{wording.significant(after.size_bytes / max(before.size_bytes, 1))} of the baseline",
        )
    ]
    for name in ("p50", "p99"):
        if name in after.latency_seconds and name in before.latency_seconds:
            old, new = before.latency_seconds[name], after.latency_seconds[name]
            faster = report.speedups[name].value if name in report.speedups else old / new
            # In a queue, a model that cannot keep the rate has no latency to compare.
            endless = old >= UNBOUNDED_SECONDS and new >= UNBOUNDED_SECONDS
            change = "neither keeps the rate" if endless else f"{wording.significant(faster)} times as fast"
            tiles.append(Tile(f"Latency {name}", wording.duration(new), wording.duration(old), change))
            if rate == TOKENS and name == "p50":
                texts = int(_path(report.job, "spec", "benchmark", "batchSize") or 1)
                each = [wording.number(texts / seconds, rate) for seconds in (new, old)]
                tiles.append(Tile(f"Decoding, {_texts(texts)}", each[0], each[1], change))
    if after.throughput_per_second and before.throughput_per_second:
        ratio = wording.significant(after.throughput_per_second / before.throughput_per_second)
        rates = [wording.number(side.throughput_per_second or 0.0, rate) for side in (after, before)]
        tiles.append(Tile("Throughput", rates[0], rates[1], f"{ratio} times"))
    if after.peak_memory_bytes and before.peak_memory_bytes:
        ratio = wording.significant(after.peak_memory_bytes / before.peak_memory_bytes)
        peaks = [format_bytes(side.peak_memory_bytes or 0) for side in (after, before)]
        tiles.append(Tile("Peak memory", peaks[0], peaks[1], f"{ratio} of the baseline"))
    if after.energy_joules_per_sample and before.energy_joules_per_sample:
        ratio = wording.significant(after.energy_joules_per_sample / before.energy_joules_per_sample)
        joules = [f"{wording.significant(side.energy_joules_per_sample or 0.0)} J" for side in (after, before)]
        tiles.append(Tile("Energy of a sample", joules[0], joules[1], f"{ratio} of the baseline"))
    if metric in after.quality and metric in report.quality_drops:
        drop = report.quality_drops[metric].value
        change = "nothing lost" if drop == 0 else _change(metric, drop)
        unit = wording.metric_unit(metric)
        scores = [wording.number(side.quality.get(metric, 1.0), unit) for side in (after, before)]
        tiles.append(Tile(metric.capitalize(), scores[0], scores[1], change))
    return tiles


def _texts(count: int) -> str:
    return "one text" if count == 1 else f"{count} texts at once"


def _change(metric: str, drop: float) -> str:
    words = ("more", "less") if metric in ERROR_METRICS else ("lost", "gained")
    word, amount = words[0 if drop > 0 else 1], wording.lost(metric, abs(drop))
    return f"{amount} {word}" if metric in ERROR_METRICS else f"{word} {amount}"


def _sizes(report: Report) -> list[Bar]:
    rows = [("baseline", "", report.baseline.size_bytes, "baseline")]
    rows += [
        (stage.name, "" if stage.name == stage.method else stage.method, stage.size_bytes, "compressed")
        for stage in report.stages
    ]
    top = max(size for _, _, size, _ in rows) or 1
    first = report.baseline.size_bytes or 1
    return [
        Bar(name, note, f"{format_bytes(size)} ({wording.per_cent(size / first)})", size / top, kind)
        for name, note, size, kind in rows
    ]


def _distribution(report: Report) -> Any:
    limit = next((item.limit for item in report.objectives if item.name == LATENCY), None)
    marks = {
        "baseline": report.baseline.latency_seconds,
        "compressed": report.compressed.latency_seconds,
    }
    return distribution([(name, report.latency_samples.get(name, [])) for name in marks], marks, limit)


def _latencies(report: Report) -> list[dict[str, str]]:
    def cell(side: ModelFigures, name: str) -> tuple[str, str]:
        if name not in side.latency_seconds:
            return "", ""
        return wording.duration(side.latency_seconds[name]), wording.span(side.latency_intervals.get(name), "seconds")

    rows = []
    for name in report.compressed.latency_seconds:
        (old, old_span), (new, new_span) = cell(report.baseline, name), cell(report.compressed, name)
        speedup = report.speedups.get(name)
        rows.append(
            {
                "name": name,
                "baseline": old,
                "baseline_span": old_span,
                "compressed": new,
                "compressed_span": new_span,
                "speedup": f"{wording.significant(speedup.value)}×" if speedup else "",
                "speedup_span": wording.span(speedup, "ratio"),
            }
        )
    return rows


def _quality(report: Report) -> list[dict[str, str]]:
    return [
        {
            "name": name,
            "meaning": wording.METRICS.get(name, ""),
            "baseline": _score(name, report.baseline.quality.get(name)),
            "compressed": _score(name, score),
            "drop": wording.lost(name, report.quality_drops[name].value) if name in report.quality_drops else "",
            "drop_span": _lost_span(name, report.quality_drops.get(name)),
        }
        for name, score in report.compressed.quality.items()
    ]


def _score(metric: str, value: float | None) -> str:
    return "" if value is None else wording.number(value, wording.metric_unit(metric))


def _lost_span(metric: str, drop: Estimate | None) -> str:
    if drop is None or drop.low == drop.high:
        return ""
    return f"{wording.lost(metric, drop.low)} to {wording.lost(metric, drop.high)}"


def _quality_note(report: Report, rate: str) -> str:
    samples = report.environment.get("evaluationSamples")
    apart = report.environment.get("maxAbsDifference")
    units, values = ("windows of text", "losses of a token") if rate == TOKENS else ("samples", "outputs")
    parts = [f"Measured on {samples} {units}." if samples else ""]
    parts.append(
        f"The largest difference between two {values} is {wording.significant(apart)}." if apart is not None else ""
    )
    return " ".join(part for part in parts if part)


def _phases(report: Report) -> list[Bar]:
    """Return the phases of the run, measuring taken apart where its own phases are known."""
    parts = [name for name in MEASURING if name in report.timings]
    shown = {name: seconds for name, seconds in report.timings.items() if not (parts and name == WHOLE_MEASURING)}
    longest = max(shown.values(), default=0.0) or 1.0
    return [
        Bar(name, "", wording.duration(seconds), seconds / longest, "measuring" if name in MEASURING else "working")
        for name, seconds in shown.items()
    ]


def _measuring(report: Report) -> str:
    """Return how long the run took and the share of it that was measuring."""
    parts = sum(report.timings.get(name, 0.0) for name in MEASURING)
    measuring = max(report.timings.get(WHOLE_MEASURING, 0.0), parts)
    others = sum(seconds for name, seconds in report.timings.items() if name not in (*MEASURING, WHOLE_MEASURING))
    if not measuring + others:
        return ""
    share = wording.per_cent(measuring / (measuring + others))
    return f"The run took {wording.duration(measuring + others)}, of which {share} measuring."


def _manifest(report: Report, spec: dict[str, Any]) -> str:
    metadata = {key: report.job[key] for key in ("name", "namespace") if report.job.get(key)}
    manifest = {"apiVersion": API_VERSION, "kind": JOB_KIND, "metadata": metadata, "spec": spec}
    return yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=100)
