"""`compare`: show two jobs side by side."""

import argparse
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from kubectl_compress.cluster import Cluster
from kubectl_compress.differences import Difference, differences
from kubectl_compress.display.model_comparison import Row, figures_table, judge, limits_table, ratios_of, rows_of
from kubectl_compress.display.table import columns
from kubectl_compress.display.terminal import Terminal, coloured
from kubectl_compress.errors import Invalid
from kubectl_compress.exit_codes import ExitCode
from kubectl_compress.job import Job

_MACHINES = (
    "latency, throughput and memory are from two runs, whose machines and loads may differ. "
    "Ratios to each job's own baseline, measured in the same run, are more reliable."
)


def compare(args: argparse.Namespace, cluster: Cluster, terminal: Terminal) -> ExitCode:
    """Show verdicts, figures, limits and specs of two jobs."""
    if args.a == args.b:
        raise Invalid(f"{args.a} cannot be compared with itself", "name two jobs")
    first, second = cluster.job(args.a), cluster.job(args.b)
    changed = differences(first.spec, second.spec)
    if args.output == "json":
        terminal.show_json(_json(first, second, changed))
    else:
        terminal.show(*page(first, second, changed))
    return ExitCode.DONE


def page(first: Job, second: Job, changed: list[Difference]) -> list[RenderableType]:
    """Return verdicts, figures, ratios to the own baselines, limits and specs, one below the other."""
    titles = ("", first.name, second.name)
    heads = columns(*titles)
    heads.add_row(Text("phase"), coloured(first.phase or "-"), coloured(second.phase or "-"))
    heads.add_row(Text("verdict"), coloured(first.verdict or "-"), coloured(second.verdict or "-"))
    heads.add_row(Text("pipeline"), Text(" > ".join(first.stages)), Text(" > ".join(second.stages)))
    parts: list[RenderableType] = [heads]
    for job in (first, second):
        if not job.verdict:
            parts.append(Text(f"{job.name} has no figures: it is {job.phase or 'not seen yet'}", style="yellow"))
        parts += [Text(f"{job.name} is not as promised: {text}", style="yellow") for text in job.anomalies]
    if first.verdict or second.verdict:
        figures, ratios = rows_of(first.compressed, second.compressed), ratios_of(first, second)
        parts += [Text(), figures_table(titles, figures), Text(), figures_table(titles, ratios)]
    if first.objectives or second.objectives:
        parts += [Text(), limits_table(first, second)]
    if first.verdict and second.verdict:
        parts += [Text(), Text(_MACHINES, style="dim")]
    return [*parts, Text(), _spec_table(titles, changed)]


def _spec_table(titles: tuple[str, str, str], changed: list[Difference]) -> RenderableType:
    if not changed:
        return Text("their specs are the same")
    table = columns("SPEC", *titles[1:])
    for item in changed:
        table.add_row(
            Text(item.field.removeprefix("spec.")),
            Text(item.first) if item.first else Text("unset", style="dim"),
            Text(item.second) if item.second else Text("unset", style="dim"),
        )
    return table


def _json(first: Job, second: Job, changed: list[Difference]) -> dict[str, Any]:
    limits = {item.name: item for item in first.objectives}
    return {
        "jobs": [_head(job) for job in (first, second)],
        "figures": [_row(row) for row in rows_of(first.compressed, second.compressed)],
        "ratios": [_row(row) for row in ratios_of(first, second)],
        "limits": [{"name": item.name, "difference": judge(limits.get(item.name), item)} for item in second.objectives],
        "spec": [{"field": item.field, "first": item.first, "second": item.second} for item in changed],
    }


def _head(job: Job) -> dict[str, Any]:
    return {
        "name": job.name,
        "phase": job.phase,
        "verdict": job.verdict,
        "pipeline": job.stages,
        "anomalies": job.anomalies,
        "objectives": [item.to_json() for item in job.objectives],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "unit": row.unit,
        "first": row.first,
        "second": row.second,
        "change": row.change,
        "difference": row.judgement,
    }
