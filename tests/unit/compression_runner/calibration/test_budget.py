"""Allocation of a byte budget to the layers of a model."""

import itertools

import numpy as np
import pytest

from compression_runner.calibration.budget import LayerCandidates, allocate, most_saving


def candidates(*points: tuple[int, float], dense: int = 100, unit: int = 1, weight: float = 1.0) -> LayerCandidates:
    sizes, losses = zip(*points, strict=True)
    return LayerCandidates(np.array(sizes), np.array(losses), dense, unit, weight)


def saving(layers: list[LayerCandidates], other: list[int | None]) -> int:
    return sum(
        (item.dense - int(item.sizes[choice])) * item.unit
        for item, choice in zip(layers, other, strict=True)
        if choice is not None
    )


def loss(layers: list[LayerCandidates], other: list[int | None]) -> float:
    return sum(
        item.weight * float(item.losses[choice])
        for item, choice in zip(layers, other, strict=True)
        if choice is not None
    )


def random_layers(seed: int) -> list[LayerCandidates]:
    random = np.random.default_rng(seed)
    layers = []
    for _ in range(3):
        sizes = np.sort(random.integers(10, 130, size=6))
        losses = np.sort(random.random(6))[::-1]
        points = zip(sizes.tolist(), losses.tolist(), strict=True)
        layers.append(candidates(*points, dense=100, unit=int(random.choice([2, 4])), weight=float(random.random())))
    return layers


@pytest.mark.parametrize("seed", range(20))
def test_allocation_meets_the_budget_near_the_optimal_loss(seed: int) -> None:
    layers = random_layers(seed)
    every = list(itertools.product([None, *range(6)], repeat=3))
    for save in (50, 200, 400):
        feasible = [list(other) for other in every if saving(layers, list(other)) >= save]
        other = allocate(layers, save)
        if not feasible:
            assert other is None
            assert most_saving(layers) < save
            continue
        assert other is not None
        assert saving(layers, other) >= save
        # Greedy on the hull is at most one step of one layer away from the optimum.
        best = min(loss(layers, other) for other in feasible)
        steps = max(item.weight for item in layers)
        assert loss(layers, other) <= best + steps


def test_insensitive_layers_are_compressed_first() -> None:
    sensitive, insensitive = (
        candidates((10, 0.9), (50, 0.4), (80, 0.1), unit=4, weight=weight) for weight in (1.0, 0.0)
    )
    assert allocate([sensitive, insensitive], 300) == [None, 0]
    assert allocate([insensitive, sensitive], 300) == [0, None]


def test_the_last_step_takes_the_largest_sufficient_candidate() -> None:
    one = candidates((10, 0.9), (50, 0.6), (80, 0.5))
    # The hull has a single step, from dense to the smallest candidate; the budget needs only a fifth of it.
    assert allocate([one], 20) == [2]


def test_surplus_savings_enlarge_other_layers() -> None:
    """The cheap steps of one layer force a large step of the other, which makes the first step superfluous."""
    small = candidates((10, 0.2), dense=30)
    large = candidates((20, 0.9), dense=100)
    assert allocate([small, large], 75) == [None, 0]


def test_candidates_larger_than_dense_are_never_chosen() -> None:
    assert allocate([candidates((150, 0.0), (120, 0.01), unit=4)], 1) is None
