"""Mean and 99th percentile of divergences, with intervals over windows."""

import numpy as np
import pytest

from compression_runner.evaluation.answers.divergence import MOST_APART
from compression_runner.evaluation.quality.divergence_scores import divergence_scores

WINDOWS, PLACES = 30, 200


def drawn(seed: int, windows: int = WINDOWS) -> np.ndarray:
    """Return divergences that differ more between windows than within one."""
    random = np.random.default_rng(seed)
    return (random.gamma(2.0, 0.02, (windows, 1)) * random.exponential(1.0, (windows, PLACES))).astype(np.float32)


def test_scores_are_those_of_all_counted_places() -> None:
    apart = drawn(0)
    counted = np.arange(PLACES) < np.random.default_rng(1).integers(20, PLACES, (WINDOWS, 1))
    scores = divergence_scores(apart, counted, 0.95, seed=0)
    values = apart[counted].astype(np.float64)
    assert scores["klDivergence"].compressed.value == pytest.approx(values.mean())
    tail = np.quantile(values, [0.9895, 0.9905], method="inverted_cdf")
    assert tail[0] <= scores["klDivergenceP99"].compressed.value <= tail[1]
    for score in scores.values():
        assert (score.baseline.value, score.drop) == (0.0, None)
        assert score.compressed.low < score.compressed.value < score.compressed.high


def test_the_tail_of_few_places_is_exact() -> None:
    apart = drawn(2, windows=4)
    score = divergence_scores(apart, np.ones(apart.shape, dtype=bool), 0.9, seed=0)["klDivergenceP99"]
    assert score.compressed.value == np.quantile(apart, 0.99, method="inverted_cdf")


def test_a_model_without_divergence_has_exactly_none() -> None:
    scores = divergence_scores(np.zeros((5, 9), np.float32), np.ones((5, 9), dtype=bool), 0.95, seed=0)
    assert {score.compressed.high for score in scores.values()} == {0.0}


def test_the_intervals_cover_other_windows() -> None:
    """Of 60 draws of windows, about 95 in 100 intervals hold the scores of very many windows."""
    many = drawn(3, windows=20_000)
    truth = {"klDivergence": many.mean(), "klDivergenceP99": np.quantile(many, 0.99)}
    held = dict.fromkeys(truth, 0)
    for seed in range(60):
        scores = divergence_scores(drawn(100 + seed), np.ones((WINDOWS, PLACES), dtype=bool), 0.95, seed=0)
        for metric, score in scores.items():
            held[metric] += score.compressed.low <= truth[metric] <= score.compressed.high
    assert min(held.values()) >= 53, held


def test_a_single_answer_that_is_not_finite_makes_both_scores_unbounded() -> None:
    apart = drawn(4)
    apart[3, 7] = MOST_APART
    counted = np.ones(apart.shape, dtype=bool)
    for score in divergence_scores(apart, counted, 0.95, seed=0).values():
        assert score.compressed.low == score.compressed.value == score.compressed.high == MOST_APART
        assert score.compressed.reason == "1 of 6000 positions have no finite divergence from the baseline"
    counted[3, 7] = False
    assert divergence_scores(apart, counted, 0.95, seed=0)["klDivergence"].compressed.high < 1.0
