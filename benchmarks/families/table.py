"""docs/models.md: every family with every method, from the published outcomes."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from benchmarks.families.catalog import ROOT, Family
from benchmarks.families.methods import Variant
from benchmarks.families.store import COMPARISON, version_of

TABLE: Final = ROOT / "docs" / "models.md"
Outcomes = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""Family -> method -> outcome."""
MAX_NOTE: Final = 160

_HEAD: Final = """# Models

Which families of Transformers models work with which methods. A family that is not listed may work too: try
`compression-runner plan JOB.yaml`, which says in one line what cannot work, before anything runs.

Each family is tried with tiny random weights (`samples/families.yaml`) by `make test-families`: every method of the
registry, each as a job of one stage, judged against limits on size and quality. *Baseline* is the largest difference
between the baseline's answers and those of transformers' or sentence-transformers' own pipeline on the same rows, at
batch 1 and 8, relative to the largest answer; of texts it is the share that differs. All pairs take hours:
`python -m benchmarks.families --missing` tries those that are missing or showed a fault, and goes on where it was cut
off.

- ✓: the methods of the group end with a verdict, but for those that are named (Pass or Fail: a tiny model gets hardly
  smaller).
- A name with a footnote is a method that `plan` refuses, and why. –: `plan` refuses the whole group.
- ✗ and a name: a fault, listed below. ?: not run yet with this family.
- °: tried with an earlier version of the method; what it gives may have changed since.
"""
OLDER: Final = "°"


def render(families: Sequence[Family], variants: Sequence[Variant], outcomes: Outcomes) -> str:
    """Return the page."""
    notes = _Notes()
    tasks = sorted({family.task for family in families}, key=[family.task for family in families].index)
    tables = [_table(task, [one for one in families if one.task == task], variants, outcomes, notes) for task in tasks]
    return "\n".join([_HEAD, _summary(families, variants, outcomes), *tables, notes.text, _faults(families, outcomes)])


def _table(
    task: str, families: Sequence[Family], variants: Sequence[Variant], outcomes: Outcomes, notes: "_Notes"
) -> str:
    groups = {group: list(members) for group, members in groupby(variants, key=lambda variant: variant.group)}
    lines = [f"## {task}\n", f"| family | {' | '.join(groups)} | baseline |", f"|---|{'---|' * len(groups)}---|"]
    for family in families:
        found = outcomes.get(family.title, {})
        cells = [_cell(members, found, notes) for members in groups.values()]
        lines.append(f"| {family.name} | {' | '.join(cells)} | {_baseline(found.get(COMPARISON), notes)} |")
    return "\n".join(lines) + "\n"


def _cell(members: Sequence[Variant], found: Mapping[str, Mapping[str, Any]], notes: "_Notes") -> str:
    by_status: dict[str, list[Variant]] = {}
    for variant in members:
        outcome = found.get(variant.title)
        by_status.setdefault(outcome["status"] if outcome else "missing", []).append(variant)
    refused = by_status.get("refused", [])
    marks = {variant.title: notes.mark(found[variant.title]["line"]) for variant in refused}
    older = {variant.title: OLDER * is_older(found.get(variant.title), variant) for variant in members}
    parts = []
    if "judged" in by_status:
        parts.append("✓" + max(older[variant.title] for variant in by_status["judged"]))
    if len(refused) == len(members):
        parts.append(f"–{''.join(sorted(set(marks.values())))}{max(older.values())}")
    else:
        parts += [f"{_name(variant)}{marks[variant.title]}{older[variant.title]}" for variant in refused]
    parts += [f"✗ {_name(variant)}{older[variant.title]}" for variant in by_status.get("fault", [])]
    missing = by_status.get("missing", [])
    if missing:
        parts.append("?" if len(missing) == len(members) else f"? {', '.join(variant.name for variant in missing)}")
    return ", ".join(parts)


def _name(variant: Variant) -> str:
    return variant.name or variant.group


def is_older(outcome: Mapping[str, Any] | None, variant: Variant | None) -> bool:
    """Return whether an outcome is of an earlier version of the method, or of one that was not kept."""
    return outcome is not None and outcome.get("version") != version_of(variant)


def _baseline(outcome: Mapping[str, Any] | None, notes: "_Notes") -> str:
    if outcome is None:
        return "?"
    if outcome["status"] == "refused":
        return f"–{notes.mark(outcome['line'])}"
    size = f"{outcome['largest']:.1g}" if "largest" in outcome else ""
    shown = size if outcome["status"] == "judged" else f"✗ {size}".strip()
    return shown + OLDER * is_older(outcome, None)


def _summary(families: Sequence[Family], variants: Sequence[Variant], outcomes: Outcomes) -> str:
    pairs = [
        outcomes.get(family.title, {}).get(variant.title, {}).get("status", "missing")
        for family in families
        for variant in variants
    ]
    judged = [one for one in families if _judged(outcomes.get(one.title, {}))]
    compared = [outcomes.get(one.title, {}).get(COMPARISON) for one in families]
    sizes = [outcome["largest"] for outcome in compared if outcome and outcome["status"] == "judged"]
    largest = f" The largest difference of a baseline that agrees is {max(sizes):.1g}." if sizes else ""
    return (
        f"{len(families)} families (a family counts once for each task), {len(variants)} methods: "
        f"{pairs.count('judged')} pairs judged, {pairs.count('refused')} refused by `plan`, {pairs.count('fault')} "
        f"faults, {pairs.count('missing')} not run yet. {len(judged)} families were judged against a limit.{largest}\n"
    )


def _judged(found: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(outcome["status"] == "judged" for name, outcome in found.items() if name != COMPARISON)


def _faults(families: Sequence[Family], outcomes: Outcomes) -> str:
    """The faults, each once with what it says and all families that show it."""
    shown: dict[str, list[str]] = {}
    for family in families:
        for name, outcome in outcomes.get(family.title, {}).items():
            if outcome["status"] == "fault":
                said = f"{name}, {outcome['stage'] or 'process'}: {_safe(outcome['line'])}"
                shown.setdefault(said, []).append(family.title)
    if not shown:
        return ""
    heading = "## Faults\n\n`python -m benchmarks.families FAMILY --method METHOD --again` shows one:\n"
    return "\n".join([heading, *(f"- {said} ({', '.join(titles)})" for said, titles in shown.items()), ""])


def _safe(line: str) -> str:
    return line.replace("|", "\\|").replace("<", "&lt;")


class _Notes:
    """Footnotes: each reason once, numbered as they come."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, reason: str) -> str:
        """Return the mark of a reason."""
        number = self._numbers.setdefault(_short(reason), len(self._numbers) + 1)
        return f"[^{number}]"

    @property
    def text(self) -> str:
        """The footnotes."""
        return "".join(f"[^{number}]: {reason}\n" for reason, number in self._numbers.items())


def _short(reason: str) -> str:
    """The problem without its field, value and remedy, cut."""
    problem = reason.split(": ", 1)[-1].split(" to do: ")[0]
    return _safe(problem if len(problem) <= MAX_NOTE else f"{problem[:MAX_NOTE]}...")
