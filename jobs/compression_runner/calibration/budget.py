"""A budget that the parts of a model share: which size each gets, so that all together lose least.

Each part's sizes on the lower convex hull of loss over size are steps; the cheapest steps of all parts, in loss for
each byte, are taken until enough is saved (Shoham and Gersho 1988).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Choice = int | None
"""The index of a candidate; None leaves the part as it is."""


@dataclass(frozen=True)
class Demand:
    """What one part can give to a budget.

    `sizes` (n,) are the candidates' sizes and `dense` that of the part as it is, in `unit` bytes; `losses` (n,) is what
    each gives up, at the price of `weight`.
    """

    sizes: NDArray[np.int64]
    losses: NDArray[np.float64]
    dense: int
    unit: int
    weight: float = 1.0


def by_budget(demands: Sequence[Demand], save: int) -> list[Choice] | None:
    """The choices that save at least `save` bytes and lose least; None where all parts together cannot.

    What is saved beyond that is given back to the parts that it helps most.
    """
    steps = sorted(step for part, demand in enumerate(demands) for step in _steps(part, demand))
    choices: list[Choice] = [None] * len(demands)
    saved = 0
    for _price, part, _place, index, gain in steps:
        if saved + gain >= save:
            choices[part] = _least(demands[part], choices[part], save - saved)
            return _given_back(demands, choices, save)
        choices[part] = index
        saved += gain
    return choices if saved >= save else None


def _given_back(demands: Sequence[Demand], choices: Sequence[Choice], save: int) -> list[Choice]:
    """Larger candidates for some parts, one after another: always the one that lowers the loss most and still fits."""
    found = list(choices)
    while True:
        spare = sum(_saved(demand, choice) for demand, choice in zip(demands, found, strict=True)) - save
        better = [
            (_lost(demand, now) - _lost(demand, choice), part, choice)
            for part, (demand, now) in enumerate(zip(demands, found, strict=True))
            for choice in (None, *range(len(demand.sizes)))
            if _lost(demand, choice) < _lost(demand, now) and _saved(demand, now) - _saved(demand, choice) <= spare
        ]
        if not better:
            return found
        _, part, choice = max(better, key=lambda item: item[:2])
        found[part] = choice


def _saved(demand: Demand, choice: Choice) -> int:
    return 0 if choice is None else (demand.dense - int(demand.sizes[choice])) * demand.unit


def _lost(demand: Demand, choice: Choice) -> float:
    return 0.0 if choice is None else demand.weight * float(demand.losses[choice])


def most_saved(demands: Sequence[Demand]) -> int:
    """Bytes that are saved where every part gets its smallest candidate."""
    return sum(max(0, demand.dense - int(demand.sizes.min(initial=demand.dense))) * demand.unit for demand in demands)


def _steps(part: int, demand: Demand) -> list[tuple[float, int, int, int, int]]:
    """(loss for each byte, part, place, candidate, bytes saved) from each point of the hull to the next smaller."""
    hull = _hull(demand)
    sizes = [demand.dense, *(int(demand.sizes[index]) for index in hull)]
    losses = [0.0, *(float(demand.losses[index]) for index in hull)]
    found = []
    for place, index in enumerate(hull):
        gain = (sizes[place] - sizes[place + 1]) * demand.unit
        price = demand.weight * (losses[place + 1] - losses[place]) / gain
        found.append((price, part, place, index, gain))
    return found


def _hull(demand: Demand) -> list[int]:
    """Candidates on the lower convex hull that starts at the part as it is, from large to small."""
    order = np.lexsort((demand.losses, -demand.sizes))
    points: list[tuple[float, float, int]] = [(float(demand.dense), 0.0, -1)]
    for index in order:
        size, loss = float(demand.sizes[index]), float(demand.losses[index])
        if size >= points[-1][0]:
            continue
        while len(points) > 1 and _above(points[-2], points[-1], (size, loss)):
            points.pop()
        points.append((size, loss, int(index)))
    return [index for _, _, index in points[1:]]


def _above(before: tuple[float, float, int], middle: tuple[float, float, int], after: tuple[float, float]) -> bool:
    """Whether the middle point lies on or above the line from the one before to the one after."""
    along = (before[0] - middle[0]) * (after[1] - before[1])
    return (middle[1] - before[1]) * (before[0] - after[0]) >= along


def _least(demand: Demand, now: Choice, save: int) -> Choice:
    """The candidate that loses least among those that are at least `save` bytes smaller than the present one."""
    size = demand.dense if now is None else int(demand.sizes[now])
    small = np.flatnonzero(demand.sizes <= size - -(-save // demand.unit))
    order = np.lexsort((-demand.sizes[small], demand.losses[small]))
    return int(small[order[0]]) if len(small) else now
