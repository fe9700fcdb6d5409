"""Render the comparison as the table of README.md."""

from pathlib import Path
from statistics import median
from typing import Any, Final

START: Final = "<!-- results: written by python -m benchmarks.guidellm -->"
END: Final = "<!-- end of results -->"


def write_table(page: Path, results: dict[str, Any]) -> None:
    """Replace the text between the marks."""
    before, rest = page.read_text().split(START)
    page.write_text(f"{before}{START}\n{table(results)}\n{END}{rest.split(END)[1]}")


def table(results: dict[str, Any]) -> str:
    """Return the table, with its origin."""
    figures = list(next(iter(next(iter(results["loads"].values())).values()))[0])
    lines = [
        f"| requests at a time | generator | {' | '.join(figures)} |",
        f"|---|---|{'---|' * len(figures)}",
    ]
    for at_a_time, generators in results["loads"].items():
        for name, blocks in generators.items():
            cells = [_cell([block[figure] for block in blocks]) for figure in figures]
            lines.append(f"| {at_a_time} | {name} | {' | '.join(cells)} |")
    made, versions = results["machine"], results["versions"]
    about = (
        f"{made['cpu']}, {made['cpus']} CPUs, {results['date']}; "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f". During the runs: {'; '.join(results['notes']) or 'no other work'}."
    )
    return "\n".join([*lines, "", about])


def _cell(values: list[float]) -> str:
    """Return the median over blocks, and the least and the most, in milliseconds."""
    value, low, high = (1000 * each for each in (median(values), min(values), max(values)))
    return f"{value:+.2f} ms ({low:+.2f} to {high:+.2f})"
