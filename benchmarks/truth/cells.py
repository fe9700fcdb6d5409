"""From the looks of runs to cells: how often a limit was decided and wrongly so, at one look and at several."""

from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import Any, Final

from scipy import stats

DISTANCES: Final = (0.0, 0.05, 0.10, 0.25, 0.50)
"""How far limits are from the truth, as shares of it; those that are not on it lie on both sides."""
WRONG_SHARE: Final = 0.05
LEVEL: Final = 0.05
"""Of the test that a cell is wrong more often than WRONG_SHARE, for all cells together."""


def cells_of(made: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the cells of all objectives, distances and sides, each at one look (fixed) and at several (sequential)."""
    return [
        _cell(made, name, distance, side, plan)
        for name in made[0]["truth"]
        for distance in DISTANCES
        for side in ((1,) if distance == 0.0 else (1, -1))
        for plan in ("fixed", "sequential")
    ]


def noise_of(made: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how many runs there were, and what others did meanwhile on average."""
    keys = ("otherShare", "lostShare", "queries")
    return {"runs": len(made), **{key: round(fmean(run[key] for run in made), 4) for key in keys}}


def refuted(cells: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the cells that are wrong more often than WRONG_SHARE, by an exact one-sided test at LEVEL over all."""
    cells = list(cells)
    return [cell for cell in cells if p_value(cell) < LEVEL / len(cells)]


def p_value(cell: dict[str, Any]) -> float:
    """Return the chance of so many wrong verdicts or more when WRONG_SHARE of all are wrong (C. J. Clopper, 1934)."""
    return float(stats.binom.sf(cell["wrong"] - 1, cell["runs"], WRONG_SHARE))


def _cell(made: Sequence[dict[str, Any]], name: str, distance: float, side: int, plan: str) -> dict[str, Any]:
    found = [_outcome(run, name, distance, side, plan) for run in made]
    decided = [(verdict, seconds) for verdict, seconds in found if verdict]
    # Above the truth a figure that must be at most the limit keeps it; on the limit, any verdict is taken as wrong.
    right = "below" if side > 0 else "above"
    wrong = len(decided) if distance == 0.0 else sum(verdict != right for verdict, _ in decided)
    return {
        "objective": name,
        "distance": distance,
        "side": {1: "kept", -1: "broken"}[side] if distance else "on",
        "plan": plan,
        "runs": len(found),
        "decided": len(decided),
        "wrong": wrong,
        "seconds": round(median(seconds for _, seconds in decided), 3) if decided else None,
    }


def _outcome(run: dict[str, Any], name: str, distance: float, side: int, plan: str) -> tuple[str, float]:
    """Return on which side of the limit the interval lay at the first look that decides, and when; "" where none did.

    Limits are put so that each is as far from the truth as the truth is from it, whatever must be at most or at least.
    """
    limit = run["truth"][name] * (1.0 + distance) ** side
    for look in run["looks"] if plan == "sequential" else [run["fixed"]]:
        if name not in look:
            continue
        low, _, high = look[name]
        if high <= limit:
            return "below", look["seconds"]
        if low > limit:
            return "above", look["seconds"]
    return "", 0.0
