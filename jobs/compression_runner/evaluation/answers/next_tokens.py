"""Compute what a causal language model predicts at each place of each window: three numbers for each next token.

They are the loss, the most probable token, and the divergence from a reference model. Logits of a whole window are
large (1,024 tokens by 49,152 entries: 200 MB), so only these numbers are kept.
"""

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.answers.divergence import divergences
from compression_runner.inference.predictor import Feed, Predictor
from compression_runner.inference.similarity import Floats
from compressionjob.conditions import INVALID_INPUT

LOGITS: Final = "logits"
NOT_COUNTED: Final = -1.0
"""Replaces the most probable token before padding."""
PLACES_AT_ONCE: Final = 128
BEFORE_PADDING: Final = (0.0, NOT_COUNTED, 0.0)
"""The numbers of a place that is not counted."""


def next_tokens(
    predictor: Predictor,
    data: SampleSet,
    batch_size: int,
    advance: Callable[[float], None] | None = None,
    reference: Predictor | None = None,
) -> Floats:
    """Return losses, most probable tokens and divergences, shape (windows, 3, places).

    `places` is the window's length minus one. Losses are in nats: the negative logarithm of the probability of the
    token that follows. Token numbers are exact in float32 up to 16,777,216. Divergences are those of the model's next
    token from the reference's, in nats (see `divergences`); NaN without a `reference`, which answers the same windows.
    Raises InvalidInput for a model without logits of shape (batch, sequence, vocabulary).
    """
    if not any(output.name == LOGITS and len(output.shape) == 3 for output in predictor.outputs):
        there = ", ".join(f"{output.name} {output.shape}" for output in predictor.outputs[:4])
        problem = f"the model has no output {LOGITS} of shape (batch, sequence, vocabulary), but {there}"
        raise InvalidInput(INVALID_INPUT, "spec.model.task", "text-generation", problem, "name the model's own task")
    longest = max(map(data.length, range(len(data))))
    rows = padding_rows(len(data), longest - 1)
    done = 0
    for indices in data.batches(predictor.inputs, batch_size):
        feed = data.batch(indices, predictor.inputs)
        logits = predictor.run(feed, [LOGITS])[0]
        expected = reference.run(data.batch(indices, reference.inputs), [LOGITS])[0] if reference else None
        for place, index in enumerate(indices):
            ids = feed["input_ids"][place].astype(np.int64)
            counts = _counts(feed, place)
            losses, likely = _places(logits[place], ids)
            rows[index, 0, : len(losses)] = np.where(counts, losses, 0.0)
            rows[index, 1, : len(losses)] = np.where(counts, likely, NOT_COUNTED)
            apart = np.full(len(losses), np.nan) if expected is None else _apart(expected[place], logits[place])
            rows[index, 2, : len(losses)] = np.where(counts, apart, 0.0)
        done += len(indices)
        if advance:
            advance(min(1.0, done / len(data)))
    return rows


def padding_rows(windows: int, places: int) -> Floats:
    """Return the numbers of places that are not counted, shape (windows, 3, places)."""
    column = np.array(BEFORE_PADDING, dtype=np.float32)[:, np.newaxis]
    return np.array(np.broadcast_to(column, (windows, len(column), places)))


def without_divergence(rows: Floats) -> Floats:
    """Return the results of a model that is the reference itself."""
    same = rows.copy()
    same[:, 2] = 0.0
    return same


def _counts(feed: Feed, place: int) -> NDArray[np.bool_]:
    """Return for each place but the last whether the next token belongs to the text."""
    if "attention_mask" not in feed:
        return np.ones(feed["input_ids"].shape[1] - 1, dtype=np.bool_)
    return np.asarray(feed["attention_mask"][place, 1:].astype(np.int64) > 0)


def _places(logits: NDArray[np.generic], ids: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return loss and most probable token of all places but the last; logits are of shape (sequence, vocabulary)."""
    losses, likely = np.empty(len(ids) - 1), np.empty(len(ids) - 1, dtype=np.int64)
    for here in _slices(len(ids) - 1):
        values = np.asarray(logits[here], dtype=np.float32)
        highest = values.max(axis=1)
        with np.errstate(invalid="ignore"):  # a broken model's infinities: the loss is not finite either
            total = np.exp(values - highest[:, np.newaxis]).sum(axis=1, dtype=np.float64)
            targets = values[np.arange(len(values)), ids[here.start + 1 : here.stop + 1]]
            losses[here] = highest.astype(np.float64) + np.log(total) - targets
        likely[here] = values.argmax(axis=1)
    return losses, likely


def _apart(expected: NDArray[np.generic], logits: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the divergences of all places but the last; both logits are of shape (sequence, vocabulary)."""
    return np.concatenate([divergences(expected[here], logits[here]) for here in _slices(len(logits) - 1)])


def _slices(places: int) -> Iterator[slice]:
    for start in range(0, places, PLACES_AT_ONCE):
        yield slice(start, min(start + PLACES_AT_ONCE, places))
