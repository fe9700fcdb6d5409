"""Render results.json as the table of README.md."""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.methods.staleness import Current, note, stale_rows

START: Final = "<!-- results: written by python -m benchmarks.local_run -->"
END: Final = "<!-- end of results -->"


def write_table(readme: Path, results: dict[str, Any], now: Current) -> None:
    """Replace the text between the marks in `readme`."""
    before, rest = readme.read_text().split(START)
    _, after = rest.split(END)
    readme.write_text(f"{before}{START}\n{_table(results, now)}\n{END}{after}")


def _table(results: dict[str, Any], now: Current) -> str:
    compared, machine = results["compared"], results["machine"]
    latency, quality = compared["latencySeconds"], compared["quality"]
    ratio = compared["oliveLatencyOverOurs"]["p50"]
    rows = [
        ("whole run, wall seconds", *_of_runs(results, lambda run: run["wallSeconds"])),
        ("... CPU seconds", *_of_runs(results, lambda run: run["cpuSeconds"])),
        ("... relative to Olive, wall and CPU", _times_olive(results), "1"),
        ("... peak memory, MB", *_of_runs(results, lambda run: run["peakBytes"] / 1e6)),
        ("... stages (fetch, data, export, quantize), s", _ours(results, "stages"), "the whole run"),
        ("... measuring, s", _ours(results, "measuring"), "0"),
        ("... measuring, share", f"{_share(results):.0%}", "0%"),
        *_phases(results),
        ("model, MB", *(f"{compared['sizeBytes'][side] / 1e6:.1f}" for side in ("ours", "olive"))),
        *((metric, *(_interval(quality[side][metric], 4) for side in ("ours", "olive")))
          for metric in ("cosine", "neighbours")),
        *((f"latency {name}, ms", *(_interval(latency[name][side], 2, 1e3) for side in ("ours", "olive")))
          for name in ("p50", "p99")),
        ("speed-up over FP32 at p50, measured by each run", _spread([run["ours"]["speedupP50"]["value"] for run in
                                                                    results["runs"]], 2), "not measured"),
        ("outcome", ", ".join(run["ours"]["verdict"] for run in results["runs"]), "a model file"),
    ]  # fmt: skip
    lines = ["| | compression-runner | Olive " + results["oliveVersion"] + " |", "|---|---|---|"]
    lines += [f"| {name} | {ours} | {olive} |" for name, ours, olive in rows]
    lines += ["", f"{machine['cpu']}, {machine['usableCpus']} CPUs, Linux {machine['kernel']}; {results['date']}; "
              f"{len(results['runs'])} runs of each in turn, median (minimum to maximum). Olive's p50 is "
              f"{_interval(ratio, 2)} times ours; {compared['queriesPerModel']} queries to each model, interleaved, "
              "batch 1, 128 tokens."]  # fmt: skip
    notes = [*compared["notes"], *results["notes"]]
    if notes:
        lines += ["", "During the measurement: " + "; ".join(notes) + "."]
    stale = note(stale_rows(results["madeWith"], now), "python -m benchmarks.local_run")
    return ("\n".join(lines) + "\n" + stale).rstrip("\n")


def _of_runs(results: dict[str, Any], figure: Callable[[dict[str, Any]], float]) -> tuple[str, str]:
    return tuple(_spread([figure(run[side]) for run in results["runs"]]) for side in ("ours", "olive"))  # type: ignore[return-value]


def _ours(results: dict[str, Any], phase: str) -> str:
    return _spread([run["ours"]["timings"][phase] for run in results["runs"]])


def _times_olive(results: dict[str, Any]) -> str:
    """Return this project's cost as a multiple of Olive's: medians of seconds, and of CPU seconds."""
    ratios = []
    for key in ("wallSeconds", "cpuSeconds"):
        ours, olive = (statistics.median(run[side][key] for run in results["runs"]) for side in ("ours", "olive"))
        ratios.append(f"{ours / olive:.2f}")
    return " and ".join(ratios)


def _phases(results: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return a row for each phase of this project's runs, in their order; Olive's log has none."""
    spent: dict[str, list[tuple[float, float]]] = {}
    for run in results["runs"]:
        for phase in run["ours"].get("phases", ()):
            spent.setdefault(phase["name"], []).append((phase["wallSeconds"], phase["cpuSeconds"]))
    return [
        (f"phase {name}: wall; CPU seconds", "; ".join(_spread(list(seconds)) for seconds in zip(*both, strict=True)),
         "-")
        for name, both in spent.items()
    ]  # fmt: skip


def _share(results: dict[str, Any]) -> float:
    share: float = statistics.median(
        run["ours"]["timings"]["measuring"] / run["ours"]["wallSeconds"] for run in results["runs"]
    )
    return share


def _spread(values: list[float], digits: int = 1) -> str:
    text = f"{statistics.median(values):.{digits}f}"
    return f"{text} ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else text


def _interval(interval: dict[str, float], digits: int, scale: float = 1.0) -> str:
    value, low, high = (interval[key] * scale for key in ("value", "low", "high"))
    if low == high:
        return f"{value:.{digits}f}"
    if high >= 86_400:
        return f"{value:.{digits}f} (at least {low:.{digits}f})"
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
