"""Allocate one byte budget to the layers of a model: choose a size for each layer with the least total loss.

The sizes of a layer on the lower convex hull of loss over size are steps. The allocation takes the cheapest steps of
all layers, in loss per byte, until it saves enough (Shoham and Gersho 1988).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CandidateIndex = int | None
"""The index of a candidate; None leaves the layer unchanged."""


@dataclass(frozen=True)
class LayerCandidates:
    """The candidates of one layer.

    `sizes` (n,) are the sizes of the candidates and `dense` is the size of the unchanged layer, in `unit` bytes.
    `losses` (n,) are the losses of the candidates; `weight` multiplies them.
    """

    sizes: NDArray[np.int64]
    losses: NDArray[np.float64]
    dense: int
    unit: int
    weight: float = 1.0


def allocate(demands: Sequence[LayerCandidates], save: int) -> list[CandidateIndex] | None:
    """Return the choices that save at least `save` bytes with the least loss; None if all layers together cannot.

    Bytes saved beyond `save` go back to the layers whose loss they lower most.
    """
    steps = sorted(step for part, demand in enumerate(demands) for step in _steps(part, demand))
    choices: list[CandidateIndex] = [None] * len(demands)
    saved = 0
    for _price, part, _place, index, gain in steps:
        if saved + gain >= save:
            choices[part] = _least(demands[part], choices[part], save - saved)
            return _spend_spare_bytes(demands, choices, save)
        choices[part] = index
        saved += gain
    return choices if saved >= save else None


def _spend_spare_bytes(
    demands: Sequence[LayerCandidates], choices: Sequence[CandidateIndex], save: int
) -> list[CandidateIndex]:
    """Enlarge candidates one after another, each time the one that lowers the loss most and still fits."""
    larger = list(choices)
    while True:
        spare = sum(_saving(demand, choice) for demand, choice in zip(demands, larger, strict=True)) - save
        better = [
            (_loss(demand, now) - _loss(demand, choice), part, choice)
            for part, (demand, now) in enumerate(zip(demands, larger, strict=True))
            for choice in (None, *range(len(demand.sizes)))
            if _loss(demand, choice) < _loss(demand, now) and _saving(demand, now) - _saving(demand, choice) <= spare
        ]
        if not better:
            return larger
        _, part, choice = max(better, key=lambda item: item[:2])
        larger[part] = choice


def _saving(demand: LayerCandidates, choice: CandidateIndex) -> int:
    return 0 if choice is None else (demand.dense - int(demand.sizes[choice])) * demand.unit


def _loss(demand: LayerCandidates, choice: CandidateIndex) -> float:
    return 0.0 if choice is None else demand.weight * float(demand.losses[choice])


def most_saving(demands: Sequence[LayerCandidates]) -> int:
    """Return the bytes saved if every layer gets its smallest candidate."""
    return sum(max(0, demand.dense - int(demand.sizes.min(initial=demand.dense))) * demand.unit for demand in demands)


def _steps(part: int, demand: LayerCandidates) -> list[tuple[float, int, int, int, int]]:
    """Return (loss per byte, layer, position, candidate, bytes saved) from each hull point to the next smaller one."""
    hull = _hull(demand)
    sizes = [demand.dense, *(int(demand.sizes[index]) for index in hull)]
    losses = [0.0, *(float(demand.losses[index]) for index in hull)]
    steps = []
    for position, index in enumerate(hull):
        gain = (sizes[position] - sizes[position + 1]) * demand.unit
        price = demand.weight * (losses[position + 1] - losses[position]) / gain
        steps.append((price, part, position, index, gain))
    return steps


def _hull(demand: LayerCandidates) -> list[int]:
    """Return the candidates on the lower convex hull that starts at the unchanged layer, from large to small."""
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
    """Return whether the middle point lies on or above the line from the previous to the next point."""
    along = (before[0] - middle[0]) * (after[1] - before[1])
    return (middle[1] - before[1]) * (before[0] - after[0]) >= along


def _least(demand: LayerCandidates, now: CandidateIndex, save: int) -> CandidateIndex:
    """Return the candidate with the least loss among those at least `save` bytes smaller than the present one."""
    size = demand.dense if now is None else int(demand.sizes[now])
    small = np.flatnonzero(demand.sizes <= size - -(-save // demand.unit))
    order = np.lexsort((-demand.sizes[small], demand.losses[small]))
    return int(small[order[0]]) if len(small) else now
