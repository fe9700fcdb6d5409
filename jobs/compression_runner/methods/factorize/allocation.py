"""Which candidate each layer gets: by rank, by energy, or by a budget that all layers share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from compression_runner.methods.factorize.decomposition import Candidates

ROUNDING: Final = 1e-12
Choice = int | None
"""The index of a candidate; None leaves the layer as it is."""


@dataclass(frozen=True)
class Demand:
    """What one layer can give to a budget.

    `dense` counts its numbers now, `unit` the bytes of one, and `weight` is what the loss of all its energy costs.
    """

    candidates: Candidates
    dense: int
    unit: int
    weight: float = 1.0


def by_rank(candidates: Candidates, rank: int) -> Choice:
    """The candidate of this rank on every side, or of the full rank on a side that has no more."""
    if not len(candidates.ranks):
        return None
    wanted = np.minimum(candidates.ranks.max(axis=0), rank)
    found = np.flatnonzero((candidates.ranks == wanted).all(axis=1))
    return int(found[0]) if len(found) and (wanted == rank).any() else None


def by_energy(candidates: Candidates, energy: float) -> Choice:
    """The smallest candidate that keeps this share of the energy."""
    enough = np.flatnonzero(candidates.losses <= 1.0 - energy + ROUNDING)
    if not len(enough):
        return None
    return int(enough[np.lexsort((candidates.losses[enough], candidates.sizes[enough]))[0]])


def by_budget(demands: Sequence[Demand], save: int) -> list[Choice] | None:
    """The choices that save at least `save` bytes and lose least; None where all layers together cannot.

    Each layer's candidates on the lower convex hull of loss over size are steps; the cheapest steps of all layers, in
    loss for each byte, are taken until enough is saved (Shoham and Gersho 1988). The last layer then gets the candidate
    that saves no more than is needed.
    """
    steps = sorted(step for layer, demand in enumerate(demands) for step in _steps(layer, demand))
    choices: list[Choice] = [None] * len(demands)
    saved = 0
    for _price, layer, _place, index, gain in steps:
        if saved + gain >= save:
            choices[layer] = _least(demands[layer], choices[layer], save - saved)
            return choices
        choices[layer] = index
        saved += gain
    return choices if saved >= save else None


def most_saved(demands: Sequence[Demand]) -> int:
    """Bytes that are saved where every layer gets its smallest candidate."""
    return sum(
        max(0, demand.dense - int(demand.candidates.sizes.min(initial=demand.dense))) * demand.unit
        for demand in demands
    )


def _steps(layer: int, demand: Demand) -> list[tuple[float, int, int, int, int]]:
    """(loss for each byte, layer, place, candidate, bytes saved) from each point of the hull to the next smaller."""
    hull = _hull(demand)
    sizes = [demand.dense, *(int(demand.candidates.sizes[index]) for index in hull)]
    losses = [0.0, *(float(demand.candidates.losses[index]) for index in hull)]
    found = []
    for place, index in enumerate(hull):
        gain = (sizes[place] - sizes[place + 1]) * demand.unit
        price = demand.weight * (losses[place + 1] - losses[place]) / gain
        found.append((price, layer, place, index, gain))
    return found


def _hull(demand: Demand) -> list[int]:
    """Candidates on the lower convex hull that starts at the dense layer, from large to small."""
    order = np.lexsort((demand.candidates.losses, -demand.candidates.sizes))
    points: list[tuple[float, float, int]] = [(float(demand.dense), 0.0, -1)]
    for index in order:
        size, loss = float(demand.candidates.sizes[index]), float(demand.candidates.losses[index])
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
    size = demand.dense if now is None else int(demand.candidates.sizes[now])
    small = np.flatnonzero(demand.candidates.sizes <= size - -(-save // demand.unit))
    order = np.lexsort((-demand.candidates.sizes[small], demand.candidates.losses[small]))
    return int(small[order[0]]) if len(small) else now
