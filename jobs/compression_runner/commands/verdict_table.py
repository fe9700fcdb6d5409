"""Print the verdict as a table."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from compressionjob.field_types import format_bytes
from compressionjob.remedies import remedy_of
from compressionjob.report import Report
from compressionjob.verdict import ObjectiveResult

COLOURS = {"Pass": "green", "Fail": "red", "Inconclusive": "yellow", "NoLimits": "cyan"}


def show(report: Report, workdir: Path, console: Console, *, published: bool) -> None:
    """Print anomalies, the verdict, the objectives, and the locations of the files."""
    for anomaly in report.anomalies:
        console.print(f"[bold yellow]not as promised:[/] {anomaly}")
    colour = COLOURS[report.verdict]
    console.print(f"[bold {colour}]{report.verdict}[/]: {report.sentence}")
    if report.fallback:
        console.print(f"[bold yellow]{'fallback' if report.fallback.published else 'no fallback'}:[/] ", end="")
        console.print(report.fallback.sentence, markup=False)
    table = Table("objective", "limit", "measured", "interval", "verdict")
    for item in report.objectives:
        exact = item.low is not None and item.low == item.high
        interval = "exact" if exact else f"{_write(item, item.low)} to {_write(item, item.high)}"
        limit = f"{item.direction} {_write(item, item.limit)}"
        word = f"[{COLOURS[item.verdict]}]{item.verdict}[/]"
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
        console.print("[yellow]not published:[/] spec.review wants a person's decision; apply the job to a cluster")
    if report.published:
        console.print(f"model: {report.artifact.uri}", soft_wrap=True)


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
