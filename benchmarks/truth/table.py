"""Render cells as the table of README.md."""

from pathlib import Path
from typing import Any, Final

from benchmarks.truth.cells import DISTANCES, WRONG_SHARE, p_value, refuted

START: Final = "<!-- results: written by python -m benchmarks.truth -->"
END: Final = "<!-- end of results -->"


def write_table(page: Path, results: dict[str, Any]) -> None:
    """Replace the text between the marks."""
    before, rest = page.read_text().split(START)
    _, after = rest.split(END)
    page.write_text(f"{before}{START}\n{table(results)}\n{END}{after}")


def table(results: dict[str, Any]) -> str:
    """Return the table, with its origin."""
    heads = ["on the limit" if not distance else f"{distance:.0%} away" for distance in DISTANCES]
    lines = [
        f"| machine | objective | plan | {' | '.join(heads)} | most wrong |",
        f"|---|---|---|{'---|' * len(heads)}---|",
    ]
    for title, entry in results["runs"].items():
        names = dict.fromkeys(cell["objective"] for cell in entry["cells"])
        for name in names:
            for plan in ("fixed", "sequential"):
                cells = [cell for cell in entry["cells"] if (cell["objective"], cell["plan"]) == (name, plan)]
                lines.append(f"| {title} | {name} | {plan} | {' | '.join(_columns(cells, title))} | {_worst(cells)} |")
    return "\n".join([*lines, "", *_notes(results)])


def _columns(cells: list[dict[str, Any]], title: str) -> list[str]:
    """Return the decided share at each distance, both sides together, and the median time of decisions."""
    columns = []
    for distance in DISTANCES:
        here = [cell for cell in cells if cell["distance"] == distance]
        decided = sum(cell["decided"] for cell in here)
        times = [cell["seconds"] for cell in here if cell["seconds"] is not None]
        unit = " samples" if title == "quality" else " s"
        after = f", {sum(times) / len(times):.3g}{unit}" if times else ""
        columns.append(f"{decided / sum(cell['runs'] for cell in here):.0%}{after}")
    return columns


def _worst(cells: list[dict[str, Any]]) -> str:
    return f"{max(cell['wrong'] / cell['runs'] for cell in cells):.1%}"


def _notes(results: dict[str, Any]) -> list[str]:
    cells = [cell for entry in results["runs"].values() for cell in entry["cells"]]
    least = min(cells, key=p_value)
    bad = refuted(cells)
    about = [
        f"- {title}: {entry['runs']} runs; others used {entry['otherShare']:.0%} of the machine's CPU time and took "
        f"{entry['lostShare']:.1%} of the time from the runs; {entry['queries']:.0f} queries a side"
        for title, entry in results["runs"].items()
        if "otherShare" in entry
    ]
    entries = results["runs"]
    machines = dict.fromkeys(_machine(entry) for entry in entries.values())
    verdict = f"{len(bad)} of {len(cells)} cells are refuted" if bad else f"none of {len(cells)} cells is refuted"
    return [
        *about,
        f"- That at most {WRONG_SHARE:.0%} of verdicts are wrong: {verdict} by a one-sided exact test at 5 % over all "
        f"cells (Bonferroni). The worst is {least['objective']}, {least['plan']}, {least['distance']:.0%} away "
        f"({least['side']}): {least['wrong']} of {least['runs']} wrong, p = {p_value(least):.2g}.",
        "",
        *(f"{made}: {'; '.join(title for title in entries if _machine(entries[title]) == made)}." for made in machines),
    ]


def _machine(entry: dict[str, Any]) -> str:
    machine = entry["machine"]
    return f"{machine.get('cpu')}, {machine.get('cpus')} CPUs, {entry['date']}"
