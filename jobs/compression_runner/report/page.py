"""Render the HTML page: the report's figures as texts, charts and tables in the template."""

from datetime import UTC, datetime
from typing import Any, Final

import jinja2

from compression_runner.report import wording
from compression_runner.report.by_stage import phases, stage_rows, time_spent
from compression_runner.report.charts import PLOT_HEIGHT, PLOT_WIDTH, TRACK, distribution
from compression_runner.report.closing import HEIGHT, WIDTH
from compression_runner.report.given_up import given_up
from compression_runner.report.interim_looks import looks_rows
from compression_runner.report.judged_figures import judged, latency_of, loss_of, speedup_of
from compression_runner.report.key_figures import key_figures
from compression_runner.report.objective_rows import (
    TOKENS,
    Terms,
    objective_row,
    said_of,
    terms_of,
    verdict_of,
    verdict_sentence,
)
from compression_runner.report.recovery_rows import recovery_view
from compression_runner.report.reproducing import reproduction
from compression_runner.report.serving_rows import serving_view
from compression_runner.report.trust_rows import HALF, SIDE, trust_view
from compressionjob.estimate import Estimate
from compressionjob.field_types import format_bytes
from compressionjob.plain_text import plain
from compressionjob.report import ModelFigures, Report, ReportSection
from compressionjob.sla_objectives import LATENCY, SPEEDUP

VERDICTS: Final = {
    "Pass": ("✓", "Pass", "Every limit holds."),
    "Fail": ("✕", "Fail", "A limit is broken."),
    "Inconclusive": ("?", "Inconclusive", "The measurement cannot decide."),
    "NoLimits": ("–", "No limits", "The job sets no limits, so nothing was judged."),
}

SHOWN_ELSEWHERE: Final = (
    "job", "stages", "pipeline", "verdict", "files", "notes", "review", "givenUp", "versions", "packing", "uri",
    "digest", "noise", "placement",
)  # fmt: skip
"""Fields of environment, provenance and artifact that are shown elsewhere on the page."""


MOST_PARTS: Final = 8
"""Most parts of the answers that the page names."""


def render_html(report: Report, now: datetime | None = None) -> str:
    """Return the page: HTML without scripts and without external resources."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("compression_runner.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = wording.unbroken
    return plain(environment.get_template("page.html.j2").render(_view(report, now or datetime.now(UTC))))


def _view(report: Report, now: datetime) -> dict[str, Any]:
    job, terms = report.job, terms_of(report)
    verdict = verdict_of(report)
    mark, word, meaning = VERDICTS[verdict]
    objectives = [objective_row(result, terms) for result in report.objectives]
    return {
        "report": report,
        "job": job.name or "job",
        "namespace": job.namespace,
        "source": job.source,
        "destination": job.destination,
        "task": job.task,
        "written": now.strftime("%Y-%m-%d %H:%M UTC"),
        "verdict": {"mark": mark, "word": word, "meaning": meaning, "kind": verdict.lower()},
        "marks": {name: texts[0] for name, texts in VERDICTS.items()},
        "confidence": wording.per_cent(report.confidence),
        "sentence": verdict_sentence(verdict, objectives) or said_of(report) or meaning,
        "publication": publication(report),
        "objectives": objectives,
        "looks": looks_rows(report, terms),
        "given_up": given_up(report, terms),
        "tiles": key_figures(report, terms),
        "metric": terms.metric,
        "stages": stage_rows(report, terms.metric),
        "serving": serving_view(report),
        "distribution": _distribution(report),
        "latencies": _latencies(report, terms),
        "limited_speedup": terms.percentile if judged(report, SPEEDUP) else "",
        "quality": _quality(report, terms),
        "quality_note": _quality_note(report, terms),
        "recovery": recovery_view(report),
        "trust": trust_view(report),
        "phases": phases(report),
        "time_spent": time_spent(report),
        "measured_on": wording.measured_on(report.environment),
        "notes": report.environment.notes,
        "noise": _spoken(report.environment.noise),
        "environment": [
            *_spoken(report.environment),
            *wording.placed(report.environment),
            *([("cost", report.cost.sentence())] if report.cost is not None else []),
        ],
        "provenance": _paths_and_values(report.provenance),
        "versions": list(report.provenance.versions.items()),
        "artifact": _paths_and_values(report.artifact),
        "packing": _packing(report),
        "files": report.artifact.files,
        "reproduction": reproduction(report),
        "bytes": format_bytes,
        "plot": {
            "width": PLOT_WIDTH,
            "height": PLOT_HEIGHT,
            "track": TRACK,
            "side": SIDE,
            "half": HALF,
            "closing_width": WIDTH,
            "closing_height": HEIGHT,
        },
    }


def publication(report: Report) -> str:
    """Return whether the result was published, in one sentence."""
    fallback = report.fallback
    subject = (
        f"The result of the earlier stage {fallback.published}" if fallback and fallback.published else "The result"
    )
    if report.held:
        return f"{subject} waits for its review; nothing is published yet."
    return f"{subject} was published." if report.published else f"{subject} was not published."


def _facts(section: ReportSection) -> list[tuple[str, str]]:
    written = section.model_dump(by_alias=True)
    return wording.flat({key: item for key, item in written.items() if key not in SHOWN_ELSEWHERE})


def _paths_and_values(section: ReportSection) -> list[tuple[str, str]]:
    return [(wording.spoken_path(name), text) for name, text in _facts(section)]


def _spoken(section: ReportSection) -> list[tuple[str, str]]:
    return [(wording.spoken(name), text) for name, text in _facts(section)]


def _distribution(report: Report) -> Any:
    limit = next((item.limit for item in report.objectives if item.name == LATENCY), None)
    marks = {
        "baseline": report.baseline.latency_seconds,
        "compressed": report.compressed.latency_seconds,
    }
    return distribution([(name, report.latency_samples.get(name, [])) for name in marks], marks, limit)


def _latencies(report: Report, terms: Terms) -> list[dict[str, str]]:
    def cell(side: ModelFigures, name: str, interval: Estimate | None) -> tuple[str, str]:
        if name not in side.latency_seconds:
            return "", ""
        return wording.duration(side.latency_seconds[name]), wording.span(interval, "seconds")

    rows = []
    for name in report.compressed.latency_seconds:
        old, old_span = cell(report.baseline, name, report.baseline.latency_intervals.get(name))
        new, new_span = cell(report.compressed, name, latency_of(report, terms, name))
        speedup = speedup_of(report, terms, name)
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


def _quality(report: Report, terms: Terms) -> list[dict[str, str]]:
    losses = {name: loss_of(report, terms, name) for name in report.compressed.quality}
    return [
        {
            "name": name,
            "meaning": wording.METRICS.get(name, ""),
            "baseline": _score(name, report.baseline.quality.get(name)),
            "compressed": _score(name, score),
            "drop": _lost(name, losses[name]),
            "drop_span": _lost_span(name, losses[name]),
        }
        for name, score in report.compressed.quality.items()
    ]


def _score(metric: str, value: float | None) -> str:
    return "" if value is None else wording.number(value, wording.metric_unit(metric))


def _lost(metric: str, loss: Estimate | None) -> str:
    return "" if loss is None else wording.lost(metric, loss.value)


def _lost_span(metric: str, drop: Estimate | None) -> str:
    if drop is None or drop.low == drop.high:
        return ""
    return f"{wording.lost(metric, drop.low)} to {wording.lost(metric, drop.high)}"


def _quality_note(report: Report, terms: Terms) -> str:
    samples = report.environment.evaluation_samples
    apart = report.environment.max_abs_difference
    units, values = ("windows of text", "losses of a token") if terms.rate == TOKENS else ("samples", "outputs")
    parts = [f"Measured on {samples} {units}." if samples else ""]
    parts.append(
        f"The largest difference between two {values} is {wording.significant(apart)}." if apart is not None else ""
    )
    parts.append(_parts_said(report))
    return " ".join(part for part in parts if part)


def _parts_said(report: Report) -> str:
    """Return the scores of separately judged parts, in one sentence; empty for one part."""
    parts = report.quality_parts
    if not parts:
        return ""
    unit = wording.metric_unit(parts[0].metric)
    texts = [f"{part.name}: {wording.number(part.score, unit)}" for part in parts[:MOST_PARTS]]
    more = f"; and {len(parts) - MOST_PARTS} more" if len(parts) > MOST_PARTS else ""
    return (
        f"{len(parts)} parts are judged separately, and a sample has the score of its worst part. "
        f"Worst first: {'; '.join(texts)}{more}."
    )


def _packing(report: Report) -> str:
    packing = report.artifact.packing
    if packing is None or not packing.codec:
        return ""
    return f"packed with {packing.codec}; compression-runner unpack restores it bit for bit"
