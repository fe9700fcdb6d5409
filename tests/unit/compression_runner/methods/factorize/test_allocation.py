"""The rank of a layer by rank or by energy."""

import numpy as np

from compression_runner.methods.factorize.allocation import by_energy, by_rank
from compression_runner.methods.factorize.decomposition import Candidates


def candidates(*points: tuple[int, float]) -> Candidates:
    ranks = np.arange(1, len(points) + 1)[:, None]
    sizes, losses = zip(*points, strict=True)
    return Candidates(ranks, np.array(sizes), np.array(losses))


def test_energy_takes_the_smallest_sufficient_candidate() -> None:
    options = candidates((10, 0.5), (20, 0.2), (30, 0.1), (40, 0.0))
    assert by_energy(options, 0.85) == 2
    assert by_energy(options, 0.8) == 1
    assert by_energy(candidates((10, 0.5)), 0.9) is None


def test_a_rank_is_limited_by_the_full_rank_of_a_side() -> None:
    pairs = Candidates(np.array([[1, 1], [4, 2], [4, 1]]), np.array([1, 2, 3]), np.zeros(3))
    assert by_rank(pairs, 4) == 1
    assert by_rank(pairs, 1) == 0
    assert by_rank(pairs, 9) is None
