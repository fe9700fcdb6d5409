"""Find stale results in all published files that depend on methods."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.methods.staleness import Current, Record, stale_rows

BENCHMARKS: Final = Path(__file__).parents[1]
COMMANDS: Final = {
    "methods/results.json": "python -m benchmarks.methods NAME",
    "methods/pods.json": "python -m benchmarks.methods.pods NAME",
    "pack/results.json": "python -m benchmarks.pack",
    "peers/results.json": "python -m benchmarks.peers",
    "teacher/results.json": "python -m benchmarks.teacher NAME",
    "local_run/results.json": "python -m benchmarks.local_run",
}
"""File of results -> the command that measures them."""


@dataclass(frozen=True)
class StaleResult:
    """One row that must be measured again."""

    file: str
    row: str
    reasons: list[str]
    seconds: float | None
    """Duration of its last run, if known."""


def stale_results(now: Current) -> list[StaleResult]:
    """Return the stale rows of all files."""
    stale = []
    for file in COMMANDS:
        content = json.loads((BENCHMARKS / file).read_text())
        for row, reasons in stale_rows(records(content), now).items():
            seconds = content.get(row, {}).get("runSeconds")
            stale.append(StaleResult(file, row, reasons, seconds))
    return stale


def records(content: dict[str, Any]) -> dict[str, Record | None]:
    """Return the record of each row; a file has one record of all rows, or one in each entry."""
    if "madeWith" in content:
        together: dict[str, Record | None] = content["madeWith"]
        return together
    return {row: entry.get("madeWith") for row, entry in content.items()}


def summary(stale: list[StaleResult]) -> str:
    """Return the stale rows as text, by file, with the command that measures them again."""
    if not stale:
        return "no published result is stale\n"
    lines = []
    for file, command in COMMANDS.items():
        rows = [result for result in stale if result.file == file]
        if rows:
            lines.append(f"benchmarks/{file}: {len(rows)} stale, measured again by `{command}`")
            lines.extend(_line(result) for result in rows)
    return "\n".join(lines) + "\n"


def _line(result: StaleResult) -> str:
    took = f" (its run took {result.seconds:.0f} s)" if result.seconds else ""
    return f"  {result.row}: {', '.join(result.reasons)}{took}"
