"""Render results.json as the table of README.md."""

from pathlib import Path
from typing import Any, Final

from benchmarks.checkpoints.rows import ROWS
from benchmarks.methods.staleness import Current, note, stale_rows

README: Final = Path(__file__).with_name("README.md")
RESULTS: Final = Path(__file__).with_name("results.json")
START: Final = "<!-- results: written by python -m benchmarks.checkpoints -->"
END: Final = "<!-- end of results -->"
NOT_MEASURED: Final = {"problem": "not measured yet"}
_COLUMNS: Final = (
    "checkpoint", "perplexity in vLLM", "increase", "perplexity in onnxruntime", "vLLM / onnxruntime", "score",
    "recovery", "size", "seconds", "CPU seconds", "peak memory",
)  # fmt: skip


def write_table(readme: Path, results: dict[str, Any], now: Current) -> None:
    """Replace the text between the marks in `readme`."""
    before, rest = readme.read_text().split(START)
    _, after = rest.split(END)
    readme.write_text(f"{before}{START}\n{table(results, now)}\n{END}{after}")


def table(results: dict[str, Any], now: Current) -> str:
    """Return the table, with its origin and its stale rows."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    lines += [_line(row.name, results["rows"].get(row.name, NOT_MEASURED)) for row in ROWS]
    machine, inputs = results["machine"], results["inputs"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    lines += [
        "",
        f"{machine['cpu']}, {machine['usableCpus']} CPUs, {results['date']}; {versions}. Groups of "
        f"{results['groupSize']} inputs. Perplexity: {inputs['windows']} windows of {inputs['windowTokens']} tokens. "
        f"Recovery: {inputs['questions']} questions with {inputs['choices']} choices. Intervals are at 95 %.",
    ]
    busy = [f"{name}: {'; '.join(row['notes'])}" for name, row in results["rows"].items() if row.get("notes")]
    if busy:
        lines += ["", "The machine was not quiet, so compare CPU seconds and not seconds:", ""]
        lines += [f"- {one}" for one in busy]
    stale = note(stale_rows(results["madeWith"], now), "python -m benchmarks.checkpoints")
    return ("\n".join(lines) + "\n" + stale).rstrip("\n")


def _line(name: str, row: dict[str, Any]) -> str:
    if "problem" in row:
        return f"| {name} | {row['problem']} |" + " |" * (len(_COLUMNS) - 2)
    engine = row.get("engineIncrease")
    cells = [
        f"{row['perplexity']:.3f}",
        _growth(row["increase"]),
        f"{row['judgedPerplexity']:.3f}" if engine else "",
        f"{1 + engine['value']:.4f} ({1 + engine['low']:.4f} to {1 + engine['high']:.4f})" if engine else "",
        f"{row['score']['value']:.3f}",
        _interval(row["recovery"]),
        f"{row['sizeBytes'] / 1e6:.1f} MB",
        f"{row['seconds']:.0f}" if "seconds" in row else "",
        f"{row['cpuSeconds']:.0f}" if "seconds" in row else "",
        f"{row['peakBytes'] / 1e6:.0f} MB" if "seconds" in row else "",
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _growth(growth: dict[str, float] | None) -> str:
    if growth is None:
        return ""
    return f"{growth['value']:+.1%} ({growth['low']:+.1%} to {growth['high']:+.1%})"


def _interval(estimate: dict[str, float] | None) -> str:
    if estimate is None:
        return ""
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"
