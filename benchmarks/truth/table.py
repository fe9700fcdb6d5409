"""Counts of verdicts as the table of README.md."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean
from typing import Any, Final

START: Final = "<!-- results: written by python -m benchmarks.truth -->"
END: Final = "<!-- end of results -->"
WRONG: Final = {"kept": ("Fail",), "at": ("Pass", "Fail"), "broken": ("Pass",)}
"""Verdicts that are wrong; on the limit, any that decides."""
VERDICTS: Final = ("Pass", "Inconclusive", "Fail")


def counts_of(made: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return how many runs there were, how often each verdict, and what the machine did meanwhile."""
    made = list(made)
    counts: dict[str, dict[str, Counter[str]]] = {}
    for run in made:
        for name, cases in run["verdicts"].items():
            for case, verdict in cases.items():
                counts.setdefault(name, {}).setdefault(case, Counter())[verdict] += 1
    found: dict[str, Any] = {
        "runs": len(made),
        "verdicts": {
            name: {case: {verdict: count[verdict] for verdict in VERDICTS} for case, count in cases.items()}
            for name, cases in counts.items()
        },
    }
    for key in ("otherShare", "lostShare", "queries", "seconds"):
        if key in made[0]:
            found[key] = round(fmean(run[key] for run in made), 4)
    if "disturbed" in made[0]:
        found["disturbed"] = sum(run["disturbed"] for run in made)
    return found


def wrong_of(case: str, counts: dict[str, int]) -> int:
    """Return how many verdicts of a case are wrong."""
    return sum(counts[verdict] for verdict in WRONG[case])


def write_table(page: Path, results: dict[str, Any]) -> None:
    """Replace what stands between the marks."""
    before, rest = page.read_text().split(START)
    _, after = rest.split(END)
    page.write_text(f"{before}{START}\n{table(results)}\n{END}{after}")


def table(results: dict[str, Any]) -> str:
    """The table, and where it is from."""
    lines = [
        "| runs | objective | kept: Pass / Inconclusive / Fail | on the limit | broken | wrong, at most |",
        "|---|---|---|---|---|---|",
    ]
    for title, found in results["runs"].items():
        margins = results["margins"][title.split(",")[0]]
        for name, cases in found["verdicts"].items():
            cells = [" / ".join(str(cases[case][verdict]) for verdict in VERDICTS) for case in WRONG]
            worst = max(wrong_of(case, cases[case]) for case in WRONG) / found["runs"]
            lines.append(
                f"| {title}: {found['runs']} | {name}, {margins[name]:.0%} off | {' | '.join(cells)} | {worst:.1%} |"
            )
    about = [
        f"{title}: others used {found['otherShare']:.0%} of the machine's CPU time and took {found['lostShare']:.1%} "
        f"of the time from the runs, {found['disturbed']} of {found['runs']} were judged with disturbed blocks; "
        f"{found['queries']:.0f} queries a side in {found['seconds']:.1f} s"
        for title, found in results["runs"].items()
        if "disturbed" in found
    ]
    machine = results["machine"]
    return "\n".join(
        [
            *lines,
            "",
            *(f"- {line}" for line in about),
            "",
            f"{machine['cpu']}, {machine['cpus']} CPUs, {results['date']}.",
        ]
    )
