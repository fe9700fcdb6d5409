"""Which rank a layer gets by itself."""

import numpy as np

from compression_runner.methods.factorize.allocation import by_energy, by_rank
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
