"""Kullback-Leibler divergence between the next-token distributions of two language models.

S. Kullback and R. A. Leibler, On Information and Sufficiency, Annals of Mathematical Statistics 22, 1951.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_APART: Final = 100.0
"""Divergence in nats where the model gives no probability to a token of the reference, or where it is not finite."""

Logits = NDArray[np.generic]
Probabilities = NDArray[np.float64]


def divergences(reference: Logits, logits: Logits) -> Probabilities:
    """Return the divergence of each place in nats, shape (places,), of a model from its reference.

    Both logits are of shape (places, vocabulary). The sum of p ln(p / q) over the vocabulary, p being the reference's
    probability of a token and q the model's. A token that one of the vocabularies lacks has the probability 0 there.
    """
    width = max(reference.shape[1], logits.shape[1])
    expected, actual = (_log_probabilities(_widened(side, width)) for side in (reference, logits))
    with np.errstate(invalid="ignore"):  # 0 times the logarithm of 0, and a broken model's NaN
        terms = np.where(np.isneginf(expected), 0.0, np.exp(expected) * (expected - actual))
        sums = terms.sum(axis=1)
    return np.minimum(np.where(np.isfinite(sums), np.maximum(sums, 0.0), MOST_APART), MOST_APART)


def _widened(logits: Logits, width: int) -> Probabilities:
    missing = width - logits.shape[1]
    return np.pad(logits.astype(np.float64), ((0, 0), (0, missing)), constant_values=-np.inf)


def _log_probabilities(logits: Probabilities) -> Probabilities:
    with np.errstate(invalid="ignore"):  # a broken model's infinities
        shifted = logits - logits.max(axis=1, keepdims=True)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
