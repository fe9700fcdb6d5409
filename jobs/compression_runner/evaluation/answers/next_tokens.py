"""What a causal language model says of the next token at each place of each window.

Logits of a whole window are large (1,024 tokens by 49,152 entries: 200 MB), so that only two numbers of each place are
kept: the loss of the token that follows, and which token the model holds most probable.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.inference.predictor import Feed, Predictor
from compression_runner.inference.similarity import Floats
from compressionjob.conditions import INVALID_INPUT

LOGITS: Final = "logits"
NOT_COUNTED: Final = -1.0
"""Stands in the place of a most probable token where nothing follows that counts (padding)."""
PLACES_AT_ONCE: Final = 128


def next_tokens(
    predictor: Predictor, data: SampleSet, batch_size: int, advance: Callable[[float], None] | None = None
) -> Floats:
    """Return losses and most probable tokens, shape (windows, 2, places), where places is a window's length less one.

    Losses are in nats: the negative logarithm of the probability of the token that follows. Token numbers are exact in
    float32 up to 16,777,216. Raises InvalidInput for a model without logits of shape (batch, sequence, vocabulary).
    """
    if not any(output.name == LOGITS and len(output.shape) == 3 for output in predictor.outputs):
        there = ", ".join(f"{output.name} {output.shape}" for output in predictor.outputs[:4])
        problem = f"the model has no output {LOGITS} of shape (batch, sequence, vocabulary), but {there}"
        raise InvalidInput(INVALID_INPUT, "spec.model.task", "text-generation", problem, "name the model's own task")
    longest = max(map(data.length, range(len(data))))
    rows = np.full((len(data), 2, longest - 1), [[0.0], [NOT_COUNTED]], dtype=np.float32)
    done = 0
    for indices in data.batches(predictor.inputs, batch_size):
        feed = data.batch(indices, predictor.inputs)
        logits = predictor.run(feed, [LOGITS])[0]
        for place, index in enumerate(indices):
            ids = feed["input_ids"][place].astype(np.int64)
            counts = _counts(feed, place)
            losses, likely = _places(logits[place], ids)
            rows[index, 0, : len(losses)] = np.where(counts, losses, 0.0)
            rows[index, 1, : len(losses)] = np.where(counts, likely, NOT_COUNTED)
        done += len(indices)
        if advance:
            advance(min(1.0, done / len(data)))
    return rows


def _counts(feed: Feed, place: int) -> NDArray[np.bool_]:
    """Return for each place but the last whether the token after it is one of the text."""
    if "attention_mask" not in feed:
        return np.ones(feed["input_ids"].shape[1] - 1, dtype=np.bool_)
    return np.asarray(feed["attention_mask"][place, 1:].astype(np.int64) > 0)


def _places(logits: NDArray[np.generic], ids: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return loss and most probable token of all places but the last; logits are of shape (sequence, vocabulary)."""
    losses, likely = np.empty(len(ids) - 1), np.empty(len(ids) - 1, dtype=np.int64)
    for start in range(0, len(ids) - 1, PLACES_AT_ONCE):
        here = slice(start, min(start + PLACES_AT_ONCE, len(ids) - 1))
        values = np.asarray(logits[here], dtype=np.float32)
        highest = values.max(axis=1)
        with np.errstate(invalid="ignore"):  # a broken model's infinities: what comes of them is not finite either
            total = np.exp(values - highest[:, np.newaxis]).sum(axis=1, dtype=np.float64)
            targets = values[np.arange(len(values)), ids[here.start + 1 : here.stop + 1]]
            losses[here] = highest.astype(np.float64) + np.log(total) - targets
        likely[here] = values.argmax(axis=1)
    return losses, likely
