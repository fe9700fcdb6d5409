"""The divergence of two language models at each place."""

import numpy as np
import pytest
import torch

from compression_runner.evaluation.answers.divergence import MOST_APART, divergences

PLACES, VOCABULARY = 6, 40


def logits(seed: int, width: int = VOCABULARY) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=3.0, size=(PLACES, width)).astype(np.float32)


def test_divergences_equal_torch() -> None:
    reference, other = logits(0), logits(1)
    sides = [torch.log_softmax(torch.from_numpy(side), dim=1) for side in (other, reference)]
    expected = torch.nn.functional.kl_div(*sides, reduction="none", log_target=True).sum(dim=1)
    assert divergences(reference, other) == pytest.approx(expected.numpy(), rel=1e-5)


def test_a_model_does_not_diverge_from_itself() -> None:
    assert (divergences(logits(0), logits(0)) == 0.0).all()
    assert divergences(logits(0), logits(0) + 5.0) == pytest.approx(np.zeros(PLACES), abs=1e-6)


def test_a_token_that_one_vocabulary_lacks_has_no_probability() -> None:
    narrow, wide = logits(0), np.pad(logits(0), ((0, 0), (0, 8)), constant_values=-np.inf)
    assert divergences(narrow, wide) == pytest.approx(np.zeros(PLACES))
    assert divergences(wide, narrow) == pytest.approx(np.zeros(PLACES))
    assert (divergences(logits(0, VOCABULARY + 8), narrow) == MOST_APART).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_place_that_is_not_finite_is_as_far_as_can_be(bad: float) -> None:
    broken = logits(1)
    broken[2, 5] = bad
    apart = divergences(logits(0), broken)
    assert apart[2] == MOST_APART
    assert (np.delete(apart, 2) < MOST_APART).all()
