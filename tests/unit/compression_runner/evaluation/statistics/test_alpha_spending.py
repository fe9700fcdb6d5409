"""A measurement that may stop at any look keeps the error rate of one look."""

import numpy as np
import pytest

from compression_runner.evaluation.statistics.alpha_spending import each_look, look_of_data, look_sizes
from compression_runner.evaluation.statistics.order_statistics import percentile_interval

CONFIDENCE = 0.95
RUNS = 1500
ALLOWED = 0.062
"""Wrong in so many runs: 5 %, and two standard errors of such a share."""


def test_looks_grow_geometrically() -> None:
    assert look_sizes(11, 1260, 10) == (11, 19, 32, 54, 91, 154, 260, 440, 745, 1260)
    assert look_sizes(125, 1000, 4) == (125, 250, 500, 1000)


@pytest.mark.parametrize(("first", "last", "looks"), [(10, 10, 5), (10, 3, 5), (1, 3, 10), (7, 90, 1)])
def test_coinciding_looks_are_merged(first: int, last: int, looks: int) -> None:
    sizes = look_sizes(first, last, looks)
    assert len(sizes) <= looks
    assert list(sizes) == sorted(set(sizes))
    assert sizes[-1] == max(first, last)


@pytest.mark.parametrize("looks", [1, 2, 4, 10])
def test_all_looks_together_spend_alpha(looks: int) -> None:
    equal = looks * (1 - each_look(CONFIDENCE, looks))
    uneven = sum(1 - look_of_data(CONFIDENCE, index, looks) for index in range(looks))
    assert equal == pytest.approx(1 - CONFIDENCE)
    assert uneven == pytest.approx(1 - CONFIDENCE)


def test_the_last_look_at_all_data_is_hardly_wider() -> None:
    assert 1 - look_of_data(CONFIDENCE, 3, 4) == pytest.approx(0.5 * (1 - CONFIDENCE))


def test_stopping_at_the_first_decisive_look_keeps_the_error_rate() -> None:
    """The limit is the truth: any decision is wrong, and each look is another chance of one."""
    generator = np.random.default_rng(5)
    sizes = look_sizes(4, 100, 10)
    confidence = each_look(CONFIDENCE, 10)
    limit = float(np.log(2.0))  # the median of an exponential time
    wrong = naive = 0
    for _ in range(RUNS):
        blocks = list(generator.standard_exponential((sizes[-1], 20)))
        wrong += any(_decides(blocks[:size], limit, confidence) for size in sizes)
        naive += any(_decides(blocks[:size], limit, CONFIDENCE) for size in sizes)
    assert wrong <= ALLOWED * RUNS
    assert naive > 2 * ALLOWED * RUNS, "without dividing alpha it would be wrong far more often"


def _decides(blocks: list[np.ndarray], limit: float, confidence: float) -> bool:
    estimate = percentile_interval(blocks, 0.5, confidence)
    return estimate.high <= limit or estimate.low > limit
