"""The looks at each objective: how its interval narrowed, and the smallest decidable difference from a limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from compression_runner.report import wording
from compression_runner.report.closing import Closing, closing
from compression_runner.report.objective_rows import Terms, unit_of
from compressionjob.field_types import format_duration
from compressionjob.report import ObjectiveLooks, Report
from compressionjob.verdict import LimitVerdict, ObjectiveResult

_COUNTS: Final = {
    "samples": "samples",
    "queries": "queries to each model",
    "blocks": "blocks of each model",
    "processes": "processes",
    "requests": "requests to each model",
    "documents": "questions of tasks",
}
_ENDS: Final = {
    "samples": "all evaluation samples are used",
    "documents": "all questions are used",
    "processes": "no more processes are started",
}
_TIME_IS_UP: Final = "the time limit or the largest number of measurements was reached"


@dataclass(frozen=True)
class LooksRow:
    """The looks at one objective, as shown."""

    title: str
    limit: str
    verdict: LimitVerdict
    picture: Closing
    course: str
    power: str


def looks_rows(report: Report, terms: Terms) -> list[LooksRow]:
    """Return a row for each objective with looks."""
    results = {result.name: result for result in report.objectives}
    return [
        _row(results[history.objective], history, terms)
        for history in report.looks
        if history.looks and history.objective in results
    ]


def _row(result: ObjectiveResult, history: ObjectiveLooks, terms: Terms) -> LooksRow:
    unit = unit_of(result, terms)
    decisive = _decisive([look.verdict for look in history.looks])
    return LooksRow(
        title=wording.objective_title(result.name, terms.metric, terms.percentile_of(result.name)),
        limit=f"{result.direction} {wording.number(result.limit, unit)}",
        verdict=history.looks[-1].verdict,
        picture=closing(result, history, decisive, unit),
        course=_course(history, decisive),
        power=_power(history, unit),
    )


def _decisive(verdicts: Sequence[LimitVerdict]) -> int:
    """Return the index of the first look after which the verdict did not change; the last one if undecided."""
    at = len(verdicts) - 1
    while verdicts[-1] != "Inconclusive" and at > 0 and verdicts[at - 1] == verdicts[-1]:
        at -= 1
    return at


def _course(history: ObjectiveLooks, decisive: int) -> str:
    """Describe when and why measuring ended."""
    last, looks = history.looks[-1], len(history.looks)
    planned = f" of at most {history.planned}" if history.planned else ""
    count = f"{last.count:,} {_COUNTS.get(history.counts, history.counts)}".strip()
    end = f"after {_after(history, looks - 1)} and {count}"
    if last.verdict == "Inconclusive":
        why = _ENDS.get(history.counts, _TIME_IS_UP)
        return f"Still open at look {looks}{planned}, {end}, when measuring ended: {why}."
    if decisive == looks - 1:
        return f"Decided at look {looks}{planned}, {end}. Measuring ended there."
    first = f"Decided at look {decisive + 1}{planned}, after {_after(history, decisive)}."
    return f"{first} Measuring went on to look {looks}, {end}, for another limit."


def _after(history: ObjectiveLooks, index: int) -> str:
    return _duration(max(history.looks[index].seconds - history.began, 0.001))


def _duration(seconds: float) -> str:
    return wording.duration(seconds) if seconds < 60 else format_duration(seconds)


def _power(history: ObjectiveLooks, unit: str) -> str:
    """Describe the decidable difference from a limit, and the cost of half of it."""
    if history.resolution is None:
        return "The interval has no end towards the limit, so no limit there can be decided."
    if history.resolution == 0.0:
        return "The figure is exact: any limit is decided."
    distance = wording.number(history.resolution, unit)
    apart = f"This run can decide limits that are {distance} or more away from the measured value."
    half = f"{apart} Half that distance would take about"
    if history.counts in ("samples", "processes", "documents"):
        counted = _COUNTS[history.counts]
        return f"{half} {4 * history.looks[-1].count:,} {counted}, four times as many."
    if history.seconds_for_half is None:
        return apart
    return f"{half} {_duration(history.seconds_for_half)} of measuring, four times as long."
