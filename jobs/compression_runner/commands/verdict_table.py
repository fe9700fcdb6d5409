"""Print the verdict as a table."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from compression_runner.commands.console import PlainConsole
from compressionjob.field_types import format_bytes
from compressionjob.remedies import remedy_of
from compressionjob.report import Report
from compressionjob.verdict import ObjectiveResult

COLOURS = {"Pass": "green", "Fail": "red", "Inconclusive": "yellow", "NoLimits": "cyan"}


def show(report: Report, workdir: Path, console: PlainConsole, *, published: bool) -> None:
    """Print anomalies, the verdict, the objectives, and the locations of the files."""
    for anomaly in report.anomalies:
        console.print(_styled("not as promised:", "bold yellow"), anomaly)
    console.print(_styled(report.verdict, f"bold {COLOURS[report.verdict]}"), f": {report.sentence}", sep="")
    if report.fallback:
        title = "fallback:" if report.fallback.published else "no fallback:"
        console.print(_styled(title, "bold yellow"), report.fallback.sentence)
    table = Table("objective", "limit", "measured", "interval", "verdict")
    for item in report.objectives:
        exact = item.low is not None and item.low == item.high
        interval = "exact" if exact else f"{_write(item, item.low)} to {_write(item, item.high)}"
        limit = f"{item.direction} {_write(item, item.limit)}"
        word = _styled(item.verdict, COLOURS[item.verdict])
        table.add_row(item.name, limit, _write(item, item.measured), interval, word)
    if report.objectives:
        console.print(table)
    before, after = report.baseline.size_bytes, report.compressed.size_bytes
    console.print(f"size {format_bytes(before)} -> {format_bytes(after)} ({after / before:.3f} of the baseline)")
    for line in (*_remedy(report), *_decoding(report)):
        console.print(line, soft_wrap=True)
    if report.cost is not None:
        console.print(f"cost: {report.cost.sentence()}")
    if not published:
        console.print(f"report: {workdir / 'report.html'}", soft_wrap=True)
    if report.held:
        sentence = "spec.review wants a person's decision; apply the job to a cluster"
        console.print(_styled("not published:", "yellow"), sentence)
    if report.published:
        console.print(f"model: {report.artifact.uri}", soft_wrap=True)


def _styled(text: str, style: str) -> Text:
    return Text(text, style=style)


def _remedy(report: Report) -> list[str]:
    """Return the remedy for a verdict other than Pass."""
    remedy = remedy_of(report.verdict, report.objectives)
    return [f"to do: {remedy}"] if remedy else []


def _decoding(report: Report) -> list[str]:
    """Return tokens per second of a language model: for sequential queries, and for many texts at once."""
    traits, texts = report.job.traits, report.job.batch_size
    sides = (report.baseline, report.compressed)
    if not (traits and traits.running_text and all("p50" in side.latency_seconds for side in sides)):
        return []
    one = [f"{texts / side.latency_seconds['p50']:.1f}" for side in sides]
    many = [f"{side.throughput_per_second or 0:.1f}" for side in sides]
    return [f"decoding {one[0]} -> {one[1]} tokens/s, {many[0]} -> {many[1]} with many texts at once"]


def _write(item: ObjectiveResult, value: float | None) -> str:
    return "-" if value is None else item.write(value)
