"""The table of the docs, from results.json, pods.json and what a result would be made with now."""

from pathlib import Path
from typing import Any, Final

from benchmarks.methods.staleness import MARK, Current, note, stale_rows
from compressionjob.schema import format_bytes, format_duration

TABLE: Final = Path(__file__).parents[2] / "docs" / "methods" / "results.md"
# The metric that says most, where the example names none.
PREFERRED: Final = ("accuracy", "f1", "perplexity", "mae", "wer", "rouge", "cosine", "agreement")

_HEAD: Final = """# Results

Each line is an example of `examples/local`, run in full by `make results` (`benchmarks/methods`); the table is made
from `benchmarks/methods/results.json`, and CI compares the two. *Size* is the result's divided by the baseline's, *p50*
the baseline's median latency divided by the result's, both measured in the same run; *quality* is that of the baseline
and of the result on real data that nothing was learned from. *Seconds* are those of the stages alone, *peak* is the
memory of the whole run. A verdict that is no Pass is a result too.

| example | model | stages | size | quality | p50 | seconds | peak | verdict |
|---|---|---|---|---|---|---|---|---|
"""

_PODS: Final = """
The same in pods of a local cluster, as CompressionJobs (`python -m benchmarks.methods.pods`, kept in `pods.json`):

| example | size | quality | p50 | verdict | machine | date |
|---|---|---|---|---|---|---|
"""

_TOKENS: Final = """
Language models write one token at a time, so the median latency is that of a token. *Memory* is the peak of a process
that writes.

| example | quality | tokens per second | memory |
|---|---|---|---|
"""


def render(results: dict[str, Any], pods: dict[str, Any], now: Current) -> str:
    """The page, from the results of runs on the machine itself and of those in pods of the local cluster."""
    stale = _stale(results, now)
    marks = {name: f" {MARK}" if name in stale else "" for name in results}
    lines = [
        _line(name, entry, marks[name])
        for name, entry in sorted(results.items(), key=lambda item: (item[1]["model"], item[0]))
    ]
    return (
        _HEAD
        + "".join(lines)
        + note(stale, "make results", MARK)
        + _language_models(results, marks)
        + _in_pods(pods, _stale(pods, now))
        + _machines(results)
    )


def _stale(entries: dict[str, Any], now: Current) -> dict[str, list[str]]:
    return stale_rows({name: entry.get("madeWith") for name, entry in entries.items()}, now)


def _in_pods(pods: dict[str, Any], stale: dict[str, list[str]]) -> str:
    lines = []
    for name, entry in sorted(pods.items()):
        before, after = entry["sizeBytes"]
        machine, date = entry["machine"]["cpu"], entry["date"]
        title = f"{name} {MARK}" if name in stale else name
        cells = [title, f"{after / before:.3f}", _quality(entry), _speedup(entry), entry["verdict"], machine, date]
        lines.append(f"| {' | '.join(cells)} |\n")
    return _PODS + "".join(lines) + note(stale, "python -m benchmarks.methods.pods NAME", MARK)


def _language_models(results: dict[str, Any], marks: dict[str, str]) -> str:
    """Their speed in tokens, and what memory a process that writes needs."""
    lines = []
    for name, entry in sorted(results.items()):
        if entry["task"] == "text-generation":
            tokens = " → ".join(f"{1 / latency['p50']:.1f}" for latency in entry["latencySeconds"])
            memory = " → ".join(map(format_bytes, entry["memoryBytes"]))
            lines.append(f"| {name}{marks[name]} | {_quality(entry)} | {tokens} | {memory} |\n")
    return _TOKENS + "".join(lines)


def _line(name: str, entry: dict[str, Any], mark: str) -> str:
    before, after = entry["sizeBytes"]
    stages = " → ".join(_stage(stage) for stage in entry["pipeline"])
    seconds = sum(stage["seconds"] for stage in entry["stages"])
    cells = [
        f"[{name}](../../examples/local/{name}.yaml){mark}",
        entry["model"],
        stages,
        f"{after / before:.3f}",
        _quality(entry),
        _speedup(entry),
        format_duration(seconds),
        format_bytes(entry["runPeakBytes"]),
        entry["verdict"],
    ]
    return f"| {' | '.join(cells)} |\n"


def _stage(stage: dict[str, Any]) -> str:
    method, parameters = next((key, value) for key, value in stage.items() if key != "name")
    told = [str(parameters[key]) for key in _TOLD if parameters.get(key) not in (None, "unstructured")]
    return f"{method} {' '.join(told)}".strip()


_TOLD: Final = ("method", "structure", "algorithm", "dtype", "sparsity", "pattern", "codec")


def _quality(entry: dict[str, Any]) -> str:
    metric = entry["metric"] or next((name for name in PREFERRED if name in entry["quality"]), None)
    if metric is None:
        return "-"
    before, after = entry["quality"][metric]
    return f"{metric} {before:.4g} → {after:.4g}"


def _speedup(entry: dict[str, Any]) -> str:
    found = entry["speedups"].get("p50")
    return f"{found['value']:.2f}x ({found['low']:.2f} to {found['high']:.2f})" if found else "-"


def _machines(results: dict[str, Any]) -> str:
    said = {(entry["date"], entry["machine"]["cpu"], entry["machine"]["usableCpus"]) for entry in results.values()}
    machines = "; ".join(f"{processor}, {cpus} CPUs, {date}" for date, processor, cpus in sorted(said))
    return f"\nMeasured on: {machines}. Versions of all libraries stand in `benchmarks/methods/results.json`.\n"
