"""The fallback part of a report: the published earlier result, the whole pipeline's result, and all candidates."""

from dataclasses import dataclass

from compression_runner.report import wording
from compression_runner.report.objective_rows import ObjectiveRow, Terms, objective_row, verdict_sentence
from compressionjob.field_types import format_bytes
from compressionjob.report import CandidateReport, FallbackReport, ModelFigures, Report
from compressionjob.verdict import Verdict


@dataclass(frozen=True)
class FigureComparison:
    """One figure of the published result, and of the whole pipeline's result."""

    name: str
    published: str
    whole: str


@dataclass(frozen=True)
class CandidateRow:
    """One tried result, with the objectives that failed."""

    stage: str
    size: str
    verdict: Verdict | None
    why: str


@dataclass(frozen=True)
class GivenUp:
    """The fallback of a report, as shown."""

    headline: str
    verdict: Verdict
    sentence: str
    comparison: tuple[FigureComparison, ...]
    objectives: tuple[ObjectiveRow, ...]
    candidates: tuple[CandidateRow, ...]
    results: int


def given_up(report: Report, terms: Terms) -> GivenUp | None:
    """Return the fallback of a report; None if there was none."""
    fallback = report.fallback
    if fallback is None:
        return None
    rows = tuple(objective_row(item, terms) for item in fallback.objectives)
    whole = verdict_sentence(fallback.verdict, rows) or fallback.verdict_sentence
    return GivenUp(
        headline=_headline(fallback),
        verdict=fallback.verdict,
        sentence=whole,
        comparison=_comparison(report, fallback, terms) if fallback.published else (),
        objectives=rows if fallback.published else (),
        candidates=tuple(_candidate(one, terms) for one in fallback.candidates),
        results=fallback.results,
    )


def _headline(fallback: FallbackReport) -> str:
    if fallback.published is None:
        return "The results of earlier stages break the limits too."
    stages = f"{'stage' if len(fallback.given_up) == 1 else 'stages'} {', '.join(fallback.given_up)}"
    return f"The result of {fallback.published} replaces the whole pipeline's, without {stages}."


def _comparison(report: Report, fallback: FallbackReport, terms: Terms) -> tuple[FigureComparison, ...]:
    chosen, whole = report.compressed, fallback.figures
    rows = [FigureComparison("size", format_bytes(chosen.size_bytes), format_bytes(whole.size_bytes))]
    for name in ("p50", "p99"):
        if name in report.speedups and name in fallback.speedups:
            both = (report.speedups[name], fallback.speedups[name])
            texts = [f"{wording.significant(one.value)} times" for one in both]
            rows.append(FigureComparison(f"as fast as the baseline, {name}", texts[0], texts[1]))
    if chosen.peak_memory_bytes and whole.peak_memory_bytes:
        peaks = [wording.number(side.peak_memory_bytes or 0, terms.memory) for side in (chosen, whole)]
        rows.append(FigureComparison("peak memory", peaks[0], peaks[1]))
    rows.extend(_scores(chosen, whole, terms.metric))
    return tuple(rows)


def _scores(chosen: ModelFigures, whole: ModelFigures, metric: str) -> list[FigureComparison]:
    if metric not in chosen.quality or metric not in whole.quality:
        return []
    texts = [wording.number(side.quality[metric], wording.metric_unit(metric)) for side in (chosen, whole)]
    return [FigureComparison(metric, texts[0], texts[1])]


def _candidate(one: CandidateReport, terms: Terms) -> CandidateRow:
    rows = [objective_row(item, terms) for item in one.objectives]
    if one.verdict is None:
        why = "not measured: a smaller one passes"
    else:
        why = verdict_sentence(one.verdict, rows) or one.sentence
        why += "" if one.measured or not why else " Its size alone decides, so it was not measured."
    return CandidateRow(one.stage, "" if one.size_bytes is None else format_bytes(one.size_bytes), one.verdict, why)
