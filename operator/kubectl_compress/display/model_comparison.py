"""Figures of two models side by side: a compressed model and its baseline, or the models of two jobs."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from rich.table import Table
from rich.text import Text

from compressionjob.figures import write_figure
from compressionjob.objectives import ERROR_METRICS
from compressionjob.report import SideSummary
from compressionjob.verdict import ObjectiveResult
from kubectl_compress.display.detail import interval
from kubectl_compress.display.table import columns
from kubectl_compress.display.terminal import coloured
from kubectl_compress.job import Job

PERCENTILES: Final = ("p50", "p90", "p99")

Judgement = Literal["better", "worse", "same", "undecided", ""]

_COLOURS: Final = {"better": "green", "worse": "red", "undecided": "yellow"}


@dataclass(frozen=True)
class Row:
    """A figure of two models; ``less_is_better`` decides whether a decrease is an improvement."""

    name: str
    unit: str
    first: float | None
    second: float | None
    less_is_better: bool

    @property
    def change(self) -> float | None:
        """The relative change from the first to the second."""
        if self.first is None or self.second is None or self.first == 0:
            return None
        return self.second / self.first - 1

    @property
    def judgement(self) -> Judgement:
        """Whether the second model is better or worse in this figure."""
        if self.first is None or self.second is None:
            return ""
        if _write(self.first, self.unit) == _write(self.second, self.unit):
            return "same"
        return "better" if (self.second < self.first) == self.less_is_better else "worse"


def rows_of(first: SideSummary, second: SideSummary) -> list[Row]:
    """Return all figures that at least one of the two has."""
    rows = [
        Row("size", "bytes", first.size_bytes, second.size_bytes, less_is_better=True),
        Row("memory", "bytes", first.peak_memory_bytes, second.peak_memory_bytes, less_is_better=True),
        *_latencies(first, second),
        Row(
            "throughput", "samples per second", first.throughput_per_second, second.throughput_per_second,
            less_is_better=False,
        ),
    ]  # fmt: skip
    for metric in [*first.quality, *(name for name in second.quality if name not in first.quality)]:
        error = metric in ERROR_METRICS
        unit = "error" if error else "score"
        rows.append(Row(metric, unit, first.quality.get(metric), second.quality.get(metric), less_is_better=error))
    return [row for row in rows if row.first is not None or row.second is not None]


def ratios_of(first: Job, second: Job) -> list[Row]:
    """Return ratios of each job's figures to its own baseline, which was measured in the same run."""
    pairs = ((first.baseline, first.compressed), (second.baseline, second.compressed))
    sizes = [_ratio(after.size_bytes, before.size_bytes) for before, after in pairs]
    memories = [_ratio(after.peak_memory_bytes, before.peak_memory_bytes) for before, after in pairs]
    rows = [
        Row("size, of its baseline", "ratio", sizes[0], sizes[1], less_is_better=True),
        Row("memory, of its baseline", "ratio", memories[0], memories[1], less_is_better=True),
    ]
    for name in PERCENTILES:
        gains = [_ratio(before.latency_seconds.get(name), after.latency_seconds.get(name)) for before, after in pairs]
        rows.append(Row(f"speed-up {name}", "ratio", gains[0], gains[1], less_is_better=False))
    return [row for row in rows if row.first is not None or row.second is not None]


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def _latencies(first: SideSummary, second: SideSummary) -> Iterator[Row]:
    for name in PERCENTILES:
        yield Row(
            f"latency {name}",
            "seconds",
            first.latency_seconds.get(name),
            second.latency_seconds.get(name),
            less_is_better=True,
        )


def figures_table(titles: tuple[str, str, str], rows: list[Row]) -> Table:
    """Return a table of figures side by side, with the difference and its judgement."""
    table = columns(titles[0], titles[1], titles[2], "DIFFERENCE", "")
    for row in rows:
        table.add_row(
            Text(row.name),
            Text("-" if row.first is None else _write(row.first, row.unit)),
            Text("-" if row.second is None else _write(row.second, row.unit)),
            Text(_difference(row)),
            judged(row.judgement),
        )
    return table


def limits_table(first: Job, second: Job) -> Table:
    """Return a table of the limits of two jobs with verdicts; overlapping intervals leave the comparison undecided."""
    table = columns("LIMIT", first.name, second.name, "DIFFERENCE")
    ones, twos = ({item.name: item for item in job.objectives} for job in (first, second))
    for name in [*ones, *(name for name in twos if name not in ones)]:
        one, two = ones.get(name), twos.get(name)
        limits = {_limit(item) for item in (one, two) if item is not None}
        title, differ = (f"{name} {limits.pop()}", False) if len(limits) == 1 else (name, True)
        cells = [_result(job, item, limit=differ) for job, item in ((first, one), (second, two))]
        table.add_row(Text(title), *cells, judged(judge(one, two)))
    return table


def judge(one: ObjectiveResult | None, two: ObjectiveResult | None) -> Judgement:
    """Return whether the second of two results of a limit is better, by their intervals."""
    if one is None or two is None or one.unit != two.unit or one.direction != two.direction:
        return ""
    if one.low is None or one.high is None or two.low is None or two.high is None:
        return ""
    if (one.low, one.high) == (two.low, two.high) and one.low == one.high:
        return "same"
    if one.low <= two.high and two.low <= one.high:
        return "undecided"
    return "better" if (two.high < one.low) == (one.direction == "at most") else "worse"


def judged(word: Judgement) -> Text:
    """Return a judgement as coloured text."""
    text = "intervals overlap" if word == "undecided" else word
    return Text(text, style=_COLOURS.get(word, "dim"))


def _difference(row: Row) -> str:
    """Return the change of a score as a difference, and of other figures in percent."""
    if row.first is None or row.second is None or row.judgement == "same":
        return ""
    if row.unit == "score":
        return f"{row.second - row.first:+.4f}"
    return "" if row.change is None else f"{row.change * 100:+.1f} %"


def _result(job: Job, item: ObjectiveResult | None, *, limit: bool) -> Text:
    if item is None:
        return Text("no limit" if job.verdict else "no verdict", style="dim")
    measured = "not measured" if item.measured is None else item.write(item.measured)
    around = interval(item)
    text = Text(measured).append(f" ({around})" if around not in ("", "exact") else "").append(" ")
    return text.append_text(coloured(item.verdict)).append(f", {_limit(item)}" if limit else "", style="dim")


def _limit(item: ObjectiveResult) -> str:
    return f"{item.direction} {item.write(item.limit)}"


def _write(value: float, unit: str) -> str:
    return f"{write_figure(value, unit)}/s" if unit.endswith(" per second") else write_figure(value, unit)
