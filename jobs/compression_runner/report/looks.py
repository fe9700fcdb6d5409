"""How the objectives' intervals closed, in words and pictures, and which limits the run can tell apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from compression_runner.report import wording
from compression_runner.report.closing import Closing, closing
from compression_runner.report.objective_rows import Terms, unit_of
from compressionjob.report import ObjectiveLooks, Report
from compressionjob.schema import format_duration
from compressionjob.sla import LimitVerdict, ObjectiveResult

_COUNTS: Final = {
    "samples": "samples",
    "queries": "queries to each model",
    "blocks": "blocks of each model",
    "processes": "processes",
}
_ENDS: Final = {
    "samples": "all evaluation samples are used",
    "processes": "no more processes are started",
}
_TIME_IS_UP: Final = "the time limit or the largest number of measurements was reached"


@dataclass(frozen=True)
class LooksRow:
    """The looks at one objective as the report shows them."""

    title: str
    limit: str
    verdict: LimitVerdict
    picture: Closing
    course: str
    power: str


def looks_rows(report: Report, terms: Terms) -> list[LooksRow]:
    """Return a row for each objective that was looked at; none for a report without looks."""
    results = {result.name: result for result in report.objectives}
    return [
        _row(results[found.objective], found, terms)
        for found in report.looks
        if found.looks and found.objective in results
    ]


def _row(result: ObjectiveResult, found: ObjectiveLooks, terms: Terms) -> LooksRow:
    unit = unit_of(result, terms)
    decisive = _decisive([look.verdict for look in found.looks])
    return LooksRow(
        title=wording.objective_title(result.name, terms.metric, terms.percentile),
        limit=f"{result.direction} {wording.number(result.limit, unit)}",
        verdict=found.looks[-1].verdict,
        picture=closing(result, found, decisive, unit),
        course=_course(found, decisive),
        power=_power(found, unit),
    )


def _decisive(verdicts: Sequence[LimitVerdict]) -> int:
    """Return the number of the first look from which on the verdict is that of the last one; the last if it is open."""
    at = len(verdicts) - 1
    while verdicts[-1] != "Inconclusive" and at > 0 and verdicts[at - 1] == verdicts[-1]:
        at -= 1
    return at


def _course(found: ObjectiveLooks, decisive: int) -> str:
    """Return when measuring ended, and why."""
    last, looks = found.looks[-1], len(found.looks)
    planned = f" of at most {found.planned}" if found.planned else ""
    count = f"{last.count:,} {_COUNTS.get(found.counts, found.counts)}".strip()
    end = f"after {_after(found, looks - 1)} and {count}"
    if last.verdict == "Inconclusive":
        why = _ENDS.get(found.counts, _TIME_IS_UP)
        return f"Still open at look {looks}{planned}, {end}, when measuring ended: {why}."
    if decisive == looks - 1:
        return f"Decided at look {looks}{planned}, {end}. Measuring ended there."
    first = f"Decided at look {decisive + 1}{planned}, after {_after(found, decisive)}."
    return f"{first} Measuring went on to look {looks}, {end}, for another limit."


def _after(found: ObjectiveLooks, index: int) -> str:
    return _duration(max(found.looks[index].seconds - found.began, 0.001))


def _duration(seconds: float) -> str:
    return wording.duration(seconds) if seconds < 60 else format_duration(seconds)


def _power(found: ObjectiveLooks, unit: str) -> str:
    """Return which difference from a limit the run tells apart, and what half of it would cost."""
    if found.resolution is None:
        return "The interval has no end towards the limit, so no limit there can be decided."
    if found.resolution == 0.0:
        return "The figure is exact: any limit is decided."
    distance = wording.number(found.resolution, unit)
    apart = f"This run can decide limits that are {distance} or more away from the measured value."
    half = f"{apart} Half that distance would take about"
    if found.counts in ("samples", "processes"):
        return f"{half} {4 * found.looks[-1].count:,} {found.counts}, four times as many."
    if found.seconds_for_half is None:
        return apart
    return f"{half} {_duration(found.seconds_for_half)} of measuring, four times as long."
