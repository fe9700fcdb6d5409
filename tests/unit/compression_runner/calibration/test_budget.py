"""Which size each part of a model gets within a budget."""

import itertools

import numpy as np
import pytest

from compression_runner.calibration.budget import Demand, by_budget, most_saved


def demand(*points: tuple[int, float], dense: int = 100, unit: int = 1, weight: float = 1.0) -> Demand:
    sizes, losses = zip(*points, strict=True)
    return Demand(np.array(sizes), np.array(losses), dense, unit, weight)


def saved(demands: list[Demand], choices: list[int | None]) -> int:
    return sum(
        (item.dense - int(item.sizes[choice])) * item.unit
        for item, choice in zip(demands, choices, strict=True)
        if choice is not None
    )


def lost(demands: list[Demand], choices: list[int | None]) -> float:
    return sum(
        item.weight * float(item.losses[choice])
        for item, choice in zip(demands, choices, strict=True)
        if choice is not None
    )


def random_demands(seed: int) -> list[Demand]:
    random = np.random.default_rng(seed)
    demands = []
    for _ in range(3):
        sizes = np.sort(random.integers(10, 130, size=6))
        losses = np.sort(random.random(6))[::-1]
        points = zip(sizes.tolist(), losses.tolist(), strict=True)
        demands.append(demand(*points, dense=100, unit=int(random.choice([2, 4])), weight=float(random.random())))
    return demands


@pytest.mark.parametrize("seed", range(20))
def test_a_budget_is_met_at_little_more_than_the_least_loss(seed: int) -> None:
    demands = random_demands(seed)
    every = list(itertools.product([None, *range(6)], repeat=3))
    for save in (50, 200, 400):
        feasible = [list(choices) for choices in every if saved(demands, list(choices)) >= save]
        found = by_budget(demands, save)
        if not feasible:
            assert found is None
            assert most_saved(demands) < save
            continue
        assert found is not None
        assert saved(demands, found) >= save
        # Greedy on the hull is at most one step of one part away from the best.
        best = min(lost(demands, choices) for choices in feasible)
        steps = max(item.weight for item in demands)
        assert lost(demands, found) <= best + steps


def test_a_part_that_the_outputs_do_not_feel_gives_first() -> None:
    felt, unfelt = (demand((10, 0.9), (50, 0.4), (80, 0.1), unit=4, weight=weight) for weight in (1.0, 0.0))
    assert by_budget([felt, unfelt], 300) == [None, 0]
    assert by_budget([unfelt, felt], 300) == [0, None]


def test_no_more_is_given_up_than_is_needed() -> None:
    one = demand((10, 0.9), (50, 0.6), (80, 0.5))
    # The hull goes from dense to the smallest at once; the budget needs only a fifth.
    assert by_budget([one], 20) == [2]


def test_what_is_saved_too_much_is_given_back() -> None:
    """The cheap steps of the first leave no choice for the last but a large one, after which the first is too small."""
    small = demand((10, 0.2), dense=30)
    large = demand((20, 0.9), dense=100)
    assert by_budget([small, large], 75) == [None, 0]


def test_larger_than_dense_is_never_chosen() -> None:
    assert by_budget([demand((150, 0.0), (120, 0.01), unit=4)], 1) is None
