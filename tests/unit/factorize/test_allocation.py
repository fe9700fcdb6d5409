"""Which ranks layers get."""

import itertools

import numpy as np
import pytest

from compression_runner.methods.factorize.allocation import Demand, by_budget, by_energy, by_rank, most_saved
from compression_runner.methods.factorize.decomposition import Candidates


def candidates(*points: tuple[int, float]) -> Candidates:
    ranks = np.arange(1, len(points) + 1)[:, None]
    sizes, losses = zip(*points, strict=True)
    return Candidates(ranks, np.array(sizes), np.array(losses))


def test_energy_takes_the_smallest_that_keeps_enough() -> None:
    found = candidates((10, 0.5), (20, 0.2), (30, 0.1), (40, 0.0))
    assert by_energy(found, 0.85) == 2
    assert by_energy(found, 0.8) == 1
    assert by_energy(candidates((10, 0.5)), 0.9) is None


def test_rank_is_cut_to_what_a_side_has() -> None:
    pairs = Candidates(np.array([[1, 1], [4, 2], [4, 1]]), np.array([1, 2, 3]), np.zeros(3))
    assert by_rank(pairs, 4) == 1
    assert by_rank(pairs, 1) == 0
    assert by_rank(pairs, 9) is None


def saved(demands: list[Demand], choices: list[int | None]) -> int:
    return sum(
        (demand.dense - int(demand.candidates.sizes[choice])) * demand.unit
        for demand, choice in zip(demands, choices, strict=True)
        if choice is not None
    )


def lost(demands: list[Demand], choices: list[int | None]) -> float:
    return sum(
        demand.weight * float(demand.candidates.losses[choice])
        for demand, choice in zip(demands, choices, strict=True)
        if choice is not None
    )


def random_demands(seed: int) -> list[Demand]:
    random = np.random.default_rng(seed)
    demands = []
    for _ in range(3):
        sizes = np.sort(random.integers(10, 130, size=6))
        losses = np.sort(random.random(6))[::-1]
        points = zip(sizes.tolist(), losses.tolist(), strict=True)
        demands.append(Demand(candidates(*points), 100, int(random.choice([2, 4])), float(random.random())))
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
        # Greedy on the hull is at most one step of one layer away from the best.
        best = min(lost(demands, choices) for choices in feasible)
        steps = max(demand.weight for demand in demands)
        assert lost(demands, found) <= best + steps


def test_a_layer_that_the_outputs_do_not_feel_gives_first() -> None:
    same = candidates((10, 0.9), (50, 0.4), (80, 0.1))
    assert by_budget([Demand(same, 100, 4, 1.0), Demand(same, 100, 4, 0.0)], 300) == [None, 0]
    assert by_budget([Demand(same, 100, 4, 0.0), Demand(same, 100, 4, 1.0)], 300) == [0, None]


def test_no_more_is_given_up_than_is_needed() -> None:
    one = Demand(candidates((10, 0.9), (50, 0.6), (80, 0.5)), 100, 1)
    # The hull goes from dense to the smallest at once; the budget needs only a fifth.
    assert by_budget([one], 20) == [2]


def test_larger_than_dense_is_never_chosen() -> None:
    assert by_budget([Demand(candidates((150, 0.0), (120, 0.01)), 100, 4)], 1) is None
