"""Render the table of the docs from results.json, pods.json and the current versions."""

from pathlib import Path
from string import ascii_uppercase
from typing import Any, Final

from benchmarks.methods.staleness import MARK, Current, note, stale_rows
from compressionjob.field_types import format_bytes, format_duration

TABLE: Final = Path(__file__).parents[2] / "docs" / "methods" / "results.md"
# Preferred metrics, if the example names none.
PREFERRED: Final = ("accuracy", "f1", "perplexity", "mae", "wer", "rouge", "cosine", "agreement")

_HEAD: Final = """# Results

Compare the size, the quality and the speed that the methods reach on real models. Each line is an example of
`examples/local`, run in full.

- *size*: size of the compressed model divided by that of the baseline.
- *quality*: score of the baseline and of the compressed model, on real data that no stage has used.
- *p50*: median latency of the baseline divided by that of the compressed model, from the same run.
- *seconds*: time of the stages alone. *peak*: memory of the whole run.
- *verdict*: the table also lists verdicts other than Pass.
- *machine*: see [below](#machines). The speed-up of quantized models depends on the instructions of its CPU.

`make results` runs the examples, and makes the table from `benchmarks/methods/results.json`. CI compares the two.

| example | model | stages | size | quality | p50 | seconds | peak | verdict | machine |
|---|---|---|---|---|---|---|---|---|---|
"""

_PODS: Final = """
Some examples were also run as CompressionJobs in pods of a local cluster (`python -m benchmarks.methods.pods`, with the
results in `pods.json`):

| example | size | quality | p50 | verdict | machine | date |
|---|---|---|---|---|---|---|
"""

_TOKENS: Final = """
Language models write one token at a time, so the median latency is that of a token. *Memory* is the peak memory of a
process that generates text.

| example | quality | tokens per second | memory |
|---|---|---|---|
"""

_MACHINES: Final = """
## Machines

"""
LETTERS: Final = ascii_uppercase
"""Names of the machines."""


def render(results: dict[str, Any], pods: dict[str, Any], now: Current) -> str:
    """Return the page, from the results of local runs and of pods on the local cluster."""
    stale = _stale(results, now)
    marks = {name: f" {MARK}" if name in stale else "" for name in results}
    machines = _machines(results)
    lines = [
        _line(name, entry, marks[name], machines.index(_machine(entry)))
        for name, entry in sorted(results.items(), key=lambda item: (item[1]["model"], item[0]))
    ]
    return (
        _HEAD
        + "".join(lines)
        + note(stale, "make results", MARK)
        + _language_models(results, marks)
        + _in_pods(pods, _stale(pods, now))
        + _legend(machines)
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
    """Return the language models' speed in tokens per second, and the memory of a generating process."""
    lines = []
    for name, entry in sorted(results.items()):
        if entry["task"] == "text-generation":
            tokens = " → ".join(f"{1 / latency['p50']:.1f}" for latency in entry["latencySeconds"])
            memory = " → ".join(map(format_bytes, entry["memoryBytes"]))
            lines.append(f"| {name}{marks[name]} | {_quality(entry)} | {tokens} | {memory} |\n")
    return _TOKENS + "".join(lines)


def _line(name: str, entry: dict[str, Any], mark: str, machine: int) -> str:
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
        f"{LETTERS[machine]}, {entry['date']}",
    ]
    return f"| {' | '.join(cells)} |\n"


def _stage(stage: dict[str, Any]) -> str:
    method, parameters = next((key, value) for key, value in stage.items() if key != "name")
    values = [str(parameters[key]) for key in _SHOWN if parameters.get(key) not in (None, "unstructured")]
    return f"{method} {' '.join(values)}".strip()


_SHOWN: Final = ("method", "structure", "algorithm", "dtype", "sparsity", "pattern", "codec")


def _quality(entry: dict[str, Any]) -> str:
    metric = entry["metric"] or next((name for name in PREFERRED if name in entry["quality"]), None)
    if metric is None:
        return "-"
    before, after = entry["quality"][metric]
    return f"{metric} {before:.4g} → {after:.4g}"


def _speedup(entry: dict[str, Any]) -> str:
    speedup = entry["speedups"].get("p50")
    return f"{speedup['value']:.2f}x ({speedup['low']:.2f} to {speedup['high']:.2f})" if speedup else "-"


def _machines(results: dict[str, Any]) -> list[str]:
    return sorted({_machine(entry) for entry in results.values()})


def _machine(entry: dict[str, Any]) -> str:
    machine = entry["machine"]
    instructions = ", ".join(machine.get("instructions", [])) or "instructions not recorded"
    return f"{machine['cpu']} ({instructions}), {machine['usableCpus']} CPUs"


def _legend(machines: list[str]) -> str:
    lines = "".join(f"- {letter}: {machine}\n" for letter, machine in zip(LETTERS, machines, strict=False))
    return f"{_MACHINES}{lines}\nVersions of all libraries are in `benchmarks/methods/results.json`.\n"
