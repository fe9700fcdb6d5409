"""What was given up: the whole pipeline's result beside the earlier one that is published, and every candidate."""

from dataclasses import dataclass

from compression_runner.report import wording
from compression_runner.report.objective_rows import ObjectiveRow, Terms, objective_row, verdict_sentence
from compressionjob.report import CandidateReport, FallbackReport, ModelFigures, Report
from compressionjob.schema import format_bytes
from compressionjob.sla import Verdict


@dataclass(frozen=True)
class Comparison:
    """One figure of the result that is published, and of the whole pipeline's."""

    name: str
    published: str
    whole: str


@dataclass(frozen=True)
class CandidateRow:
    """One result that was tried, with the objectives that decided against it."""

    stage: str
    size: str
    verdict: Verdict | None
    why: str


@dataclass(frozen=True)
class GivenUp:
    """The fallback of a report, for people."""

    headline: str
    verdict: Verdict
    sentence: str
    comparison: tuple[Comparison, ...]
    objectives: tuple[ObjectiveRow, ...]
    candidates: tuple[CandidateRow, ...]
    results: int


def given_up(report: Report, terms: Terms) -> GivenUp | None:
    """Return what the report tells of a fallback; None where none was looked for."""
    told = report.fallback
    if told is None:
        return None
    rows = tuple(objective_row(item, terms) for item in told.objectives)
    whole = verdict_sentence(told.verdict, rows) or told.verdict_sentence
    return GivenUp(
        headline=_headline(told),
        verdict=told.verdict,
        sentence=whole,
        comparison=_comparison(report, told, terms) if told.published else (),
        objectives=rows if told.published else (),
        candidates=tuple(_candidate(one, terms) for one in told.candidates),
        results=told.results,
    )


def _headline(told: FallbackReport) -> str:
    if told.published is None:
        return "No earlier stage's result keeps the limits either."
    stages = f"{'stage' if len(told.given_up) == 1 else 'stages'} {', '.join(told.given_up)}"
    return f"The result of {told.published} stands in for the whole pipeline's, without {stages}."


def _comparison(report: Report, told: FallbackReport, terms: Terms) -> tuple[Comparison, ...]:
    chosen, whole = report.compressed, told.figures
    rows = [Comparison("size", format_bytes(chosen.size_bytes), format_bytes(whole.size_bytes))]
    for name in ("p50", "p99"):
        if name in report.speedups and name in told.speedups:
            both = (report.speedups[name], told.speedups[name])
            texts = [f"{wording.significant(one.value)} times" for one in both]
            rows.append(Comparison(f"as fast as the baseline, {name}", texts[0], texts[1]))
    if chosen.peak_memory_bytes and whole.peak_memory_bytes:
        peaks = [wording.number(side.peak_memory_bytes or 0, terms.memory) for side in (chosen, whole)]
        rows.append(Comparison("peak memory", peaks[0], peaks[1]))
    rows.extend(_scores(chosen, whole, terms.metric))
    return tuple(rows)


def _scores(chosen: ModelFigures, whole: ModelFigures, metric: str) -> list[Comparison]:
    if metric not in chosen.quality or metric not in whole.quality:
        return []
    texts = [wording.number(side.quality[metric], wording.metric_unit(metric)) for side in (chosen, whole)]
    return [Comparison(metric, texts[0], texts[1])]


def _candidate(one: CandidateReport, terms: Terms) -> CandidateRow:
    rows = [objective_row(item, terms) for item in one.objectives]
    if one.verdict is None:
        why = "not measured: a smaller one passes"
    else:
        why = verdict_sentence(one.verdict, rows) or one.sentence
        why += "" if one.measured or not why else " Its size alone decides, so it was not measured."
    return CandidateRow(one.stage, "" if one.size_bytes is None else format_bytes(one.size_bytes), one.verdict, why)
