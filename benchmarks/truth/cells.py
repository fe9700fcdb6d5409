"""Count decided and wrong verdicts in the looks of runs, for one look and for several."""

from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import Any, Final

from scipy import stats

DISTANCES: Final = (0.0, 0.05, 0.10, 0.25, 0.50)
"""Distances of limits from the truth, as shares of it; limits other than on the truth lie on both sides."""
WRONG_SHARE: Final = 0.05
LEVEL: Final = 0.05
"""Significance level of the test that a cell is wrong more often than WRONG_SHARE, for all cells together."""


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
    """Return the number of runs, and their mean noise."""
    keys = ("otherShare", "lostShare", "queries")
    return {"runs": len(made), **{key: round(fmean(run[key] for run in made), 4) for key in keys}}


def refuted(cells: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the cells that are wrong more often than WRONG_SHARE, by an exact one-sided test at LEVEL over all."""
    cells = list(cells)
    return [cell for cell in cells if p_value(cell) < LEVEL / len(cells)]


def p_value(cell: dict[str, Any]) -> float:
    """Return the probability of at least this many wrong verdicts if WRONG_SHARE are wrong (C. J. Clopper, 1934)."""
    return float(stats.binom.sf(cell["wrong"] - 1, cell["runs"], WRONG_SHARE))


def _cell(made: Sequence[dict[str, Any]], name: str, distance: float, side: int, plan: str) -> dict[str, Any]:
    outcomes = [_outcome(run, name, distance, side, plan) for run in made]
    decided = [(verdict, seconds) for verdict, seconds in outcomes if verdict]
    # A limit above the truth is kept by a figure that must be at most the limit; on the truth, any verdict is wrong.
    right = "below" if side > 0 else "above"
    wrong = len(decided) if distance == 0.0 else sum(verdict != right for verdict, _ in decided)
    return {
        "objective": name,
        "distance": distance,
        "side": {1: "kept", -1: "broken"}[side] if distance else "on",
        "plan": plan,
        "runs": len(outcomes),
        "decided": len(decided),
        "wrong": wrong,
        "seconds": round(median(seconds for _, seconds in decided), 3) if decided else None,
    }


def _outcome(run: dict[str, Any], name: str, distance: float, side: int, plan: str) -> tuple[str, float]:
    """Return the side of the interval at the first decisive look, and its time; "" without a decision.

    Limits above and below the truth are at the same relative distance.
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
