"""Generate text with a model by greedy decoding: the most probable token at each step.

The graph of an encoder and its decoder keeps no cache, so each token costs a run over the whole input. Beams, sampling
and penalties of generation_config.json are ignored: they would hide the loss.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.dataset.generation import DECODER, TextGeneration
from compression_runner.errors import InvalidInput
from compression_runner.inference.predictor import Feed, Predictor
from compression_runner.inference.similarity import Floats
from compressionjob.conditions import INVALID_INPUT

LOGITS: Final = "logits"
NOTHING: Final = -1.0
NOT_FINITE: Final = -2.0
"""Stand for no token (NOTHING), and for a token that the model's logits could not choose (NOT_FINITE)."""


def written(
    predictor: Predictor, data: SampleSet, batch_size: int, advance: Callable[[float], None] | None = None
) -> Floats:
    """Return the ids of the tokens that the model generates, shape (samples, places); -1 after the end of a text.

    A model with a decoder continues its prompt; a model without (CTC) has a token for each frame. If logits are not
    finite, the id is -2 and the decoder stops. Ids are exact in float32 up to 16,777,216. Raises InvalidInput for a
    model without logits of shape (batch, sequence, vocabulary).
    """
    writing = data.generation
    if writing is None or not any(output.name == LOGITS and len(output.shape) == 3 for output in predictor.outputs):
        there = ", ".join(f"{output.name} {output.shape}" for output in predictor.outputs[:4])
        problem = f"the model has no output {LOGITS} of shape (batch, sequence, vocabulary), but {there}"
        raise InvalidInput(INVALID_INPUT, "spec.model.task", there, problem, "name the task it was made for")
    rows: dict[int, NDArray[np.float32]] = {}
    for indices in data.batches(predictor.inputs, batch_size):
        feed = data.batch(indices, predictor.inputs)
        tokens = _decoded(predictor, feed, writing) if DECODER in feed else _frames(predictor, feed)
        rows |= {index: tokens[place] for place, index in enumerate(indices)}
        if advance:
            advance(min(1.0, len(rows) / len(data)))
    widest = max(len(row) for row in rows.values())
    return np.stack([_filled(rows[index], widest) for index in range(len(data))])


def _frames(predictor: Predictor, feed: Feed) -> Floats:
    """Return the most probable token of each frame, shape (batch, frames)."""
    logits = np.asarray(predictor.run(feed, [LOGITS])[0], dtype=np.float32)
    finite = np.isfinite(logits).all(axis=-1)
    return np.where(finite, np.nan_to_num(logits).argmax(axis=-1), NOT_FINITE).astype(np.float32)


def _decoded(predictor: Predictor, feed: Feed, writing: TextGeneration) -> Floats:
    """Return the tokens after the prompt without the end token, shape (batch, longest)."""
    so_far = np.asarray(feed[DECODER])
    tokens = np.full((len(so_far), writing.longest), NOTHING, dtype=np.float32)
    open_ = np.ones(len(so_far), dtype=np.bool_)
    for place in range(writing.longest):
        logits = np.asarray(predictor.run({**feed, DECODER: so_far}, [LOGITS])[0][:, -1], dtype=np.float32)
        token = np.nan_to_num(logits).argmax(axis=-1)
        broken = open_ & ~np.isfinite(logits).all(axis=-1)
        tokens[broken, place] = NOT_FINITE
        open_ &= ~broken & ~np.isin(token, list(writing.ends))
        if not open_.any():
            break
        tokens[open_, place] = token[open_]
        so_far = np.concatenate([so_far, token[:, np.newaxis].astype(so_far.dtype)], axis=1)
    return tokens


def _filled(row: Floats, width: int) -> Floats:
    return np.pad(row, (0, width - len(row)), constant_values=NOTHING)
