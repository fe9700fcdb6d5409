"""Read token sequences with a causal language model, each after the longest start that it shares with the last one.

The choices of a question share its prompt, and questions share their examples. A served model keeps the key-value cache
of such a start as well.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.cache_inputs import PAST, PRESENT, empty_past, is_past
from compression_runner.errors import InvalidInput
from compression_runner.inference.batch_axis import fixed_batch
from compression_runner.inference.predictor import Predictor, TensorInfo
from compression_runner.inference.similarity import Floats
from compressionjob.conditions import INVALID_INPUT

LOGITS: Final = "logits"
AT_ONCE: Final = 512
"""Most tokens of one run: the logits of 512 tokens by 49,152 entries are 100 MB."""
TOKENS: Final = "input_ids"
MASK: Final = "attention_mask"
POSITIONS: Final = "position_ids"


class Reader:
    """A causal language model that reads one sequence at a time; a sequence ends with the tokens of interest."""

    def __init__(self, predictor: Predictor) -> None:
        """Raise InvalidInput for a model without logits, without the cache as outputs, or with other inputs."""
        self._predictor = predictor
        self._past = [info for info in predictor.inputs if is_past(info.name)]
        self._present = [info.name.replace(PAST, PRESENT, 1) for info in self._past]
        outputs = {info.name for info in predictor.outputs}
        missing = [name for name in (LOGITS, *self._present) if name not in outputs]
        if missing:
            problem, remedy = f"it has no output {missing[0]}", "export it with its logits and its cache as outputs"
            raise InvalidInput(INVALID_INPUT, "spec.model.source", missing[0], problem, remedy)
        self._others = [info for info in predictor.inputs if not is_past(info.name)]
        unknown = [info.name for info in self._others if info.name not in (TOKENS, MASK, POSITIONS)]
        if unknown:
            problem, remedy = f"it takes {unknown[0]}, which texts do not have", "remove spec.data.tasks"
            raise InvalidInput(INVALID_INPUT, "spec.model.source", unknown[0], problem, remedy)
        self._copies = fixed_batch(predictor.inputs) or 1
        self._read: list[int] = []
        self._cache = self._empty()

    def logits(self, tokens: Sequence[int], wanted: int) -> Floats:
        """Return the logits at the last `wanted` places, shape (wanted, vocabulary), as float32."""
        start = min(self._shared(tokens), len(tokens) - wanted)
        if not self._past:
            start = 0
        self._cache = [array[:, :, :start] for array in self._cache]
        kept: list[Floats] = []
        for begin in range(start, len(tokens), AT_ONCE):
            end = min(begin + AT_ONCE, len(tokens)) if self._past else len(tokens)
            logits = self._run(tokens, begin, end)
            first = max(len(tokens) - wanted, begin)
            if first < end:
                kept.append(np.array(logits[0, first - begin :], dtype=np.float32))
            if end == len(tokens):
                break
        self._read = list(tokens)
        return np.concatenate(kept)

    def _run(self, tokens: Sequence[int], begin: int, end: int) -> NDArray[np.generic]:
        values = {
            TOKENS: np.asarray(tokens[begin:end]),
            MASK: np.ones(end, dtype=np.int64),
            POSITIONS: np.arange(begin, end),
        }
        feed = {info.name: self._rows(values[info.name], info) for info in self._others}
        past = dict(zip((info.name for info in self._past), self._cache, strict=True))
        logits, *present = self._predictor.run({**feed, **past}, [LOGITS, *self._present])
        self._cache = present
        return logits

    def _rows(self, values: NDArray[np.generic], info: TensorInfo) -> NDArray[np.generic]:
        return np.repeat(values[np.newaxis], self._copies, axis=0).astype(info.dtype)

    def _empty(self) -> list[NDArray[np.generic]]:
        return [empty_past(info, self._copies) for info in self._past]

    def _shared(self, tokens: Sequence[int]) -> int:
        """Return how many tokens at the start are those of the last sequence."""
        both = zip(self._read, tokens, strict=False)
        return next((place for place, (old, new) in enumerate(both) if old != new), min(len(self._read), len(tokens)))
