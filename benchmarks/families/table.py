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

Look up which methods work with your family of Transformers models. A family or a pair that has not been tried may also
work: `compression-runner plan JOB.yaml` states in one line what cannot work, before anything runs.

- ✓: all methods of the group, except those that the cell names, end with a verdict. Pass and Fail both count, because
  the tiny models of this test hardly get smaller.
- A name with a footnote: `plan` refuses this method for the reason in the footnote. –: `plan` refuses the whole group.
- ✗ with a name: the method ends with an error, which is listed at the end of this page.
- ?: not tried yet: the methods that follow, or the whole group if none follow.
- °: tried with an earlier version of the method.
- *Baseline*: the largest difference between the answers of the baseline and those of the pipeline of transformers or
  sentence-transformers on the same rows, at batch 1 and 8, relative to the largest answer. For texts it is the share
  of texts that differ.

`make test-families` runs each method with each family, as a job of one stage with limits on size and quality. The
models are tiny and have random weights (`samples/families.yaml`). All pairs take hours.
`python -m benchmarks.families --missing` runs the pairs that are missing or ended with an error, and continues where it
stopped.
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
        by_method = outcomes.get(family.title, {})
        cells = [_cell(members, by_method, notes) for members in groups.values()]
        lines.append(f"| {family.name} | {' | '.join(cells)} | {_baseline(by_method.get(COMPARISON), notes)} |")
    return "\n".join(lines) + "\n"


def _cell(members: Sequence[Variant], by_method: Mapping[str, Mapping[str, Any]], notes: "_Notes") -> str:
    by_status: dict[str, list[Variant]] = {}
    for variant in members:
        outcome = by_method.get(variant.title)
        by_status.setdefault(outcome["status"] if outcome else "missing", []).append(variant)
    refused = by_status.get("refused", [])
    marks = {variant.title: notes.mark(by_method[variant.title]["line"]) for variant in refused}
    older = {variant.title: OLDER * is_older(by_method.get(variant.title), variant) for variant in members}
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
    """Return whether an outcome has an earlier version of the method, or no version."""
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
    largest = f" Of the baselines that were accepted, the largest difference is {max(sizes):.1g}." if sizes else ""
    return (
        f"There are {len(families)} families (a family counts once for each task) and {len(variants)} methods. Pairs "
        f"with a verdict: {pairs.count('judged')}; refused by `plan`: {pairs.count('refused')}; with an error: "
        f"{pairs.count('fault')}; not tried yet: {pairs.count('missing')}. Families with at least one verdict: "
        f"{len(judged)}.{largest}\n"
    )


def _judged(by_method: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(outcome["status"] == "judged" for name, outcome in by_method.items() if name != COMPARISON)


def _faults(families: Sequence[Family], outcomes: Outcomes) -> str:
    """List the errors, each once with all families and methods that end with it."""
    shown: dict[str, dict[str, list[str]]] = {}
    for family in families:
        for name, outcome in outcomes.get(family.title, {}).items():
            if outcome["status"] == "fault":
                error = f"{outcome['stage'] or 'process'}: {_safe(outcome['line'])}"
                shown.setdefault(error, {}).setdefault(family.title, []).append(name)
    if not shown:
        return ""
    heading = "## Errors\n\n`python -m benchmarks.families FAMILY --method METHOD --again` runs a pair again.\n"
    return "\n".join([heading, *(f"- {error} ({_pairs(methods)})" for error, methods in shown.items()), ""])


def _pairs(methods: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{family}: {', '.join(names)}" for family, names in methods.items())


def _safe(line: str) -> str:
    return line.replace("|", "\\|").replace("<", "&lt;")


class _Notes:
    """Footnotes: each reason once, numbered by first use."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, reason: str) -> str:
        """Return the footnote mark of a reason."""
        number = self._numbers.setdefault(_short(reason), len(self._numbers) + 1)
        return f"[^{number}]"

    @property
    def text(self) -> str:
        """The footnotes."""
        return "".join(f"[^{number}]: {reason}\n" for reason, number in self._numbers.items())


def _short(reason: str) -> str:
    """Return the problem without its field, value and remedy, truncated."""
    problem = reason.split(": ", 1)[-1].split(" to do: ")[0]
    return _safe(problem if len(problem) <= MAX_NOTE else f"{problem[:MAX_NOTE]}...")
