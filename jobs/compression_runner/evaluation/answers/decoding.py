"""A step of decoding as a query: what a served language model does for every token that it writes.

One query is one token of each of `batchSize` texts, after half of `sequenceLength` tokens that the model remembers:
the mean of what it remembers while it writes a text of that length. So a latency is the time of a token, and samples
per second are tokens per second. What is remembered is what the model itself made of the evaluation data.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.dataset.cache_inputs import PAST, PRESENT, is_past
from compression_runner.errors import InvalidInput
from compression_runner.inference.batch_axis import joined
from compression_runner.inference.predictor import Feed, Predictor, TensorInfo
from compressionjob.conditions import INVALID_INPUT
from compressionjob.spec import Benchmark

REMEMBERED_BYTES: Final = 1 << 30
"""What the texts of one call in the offline scenario may remember together."""


def past_tokens(benchmark: Benchmark) -> int:
    """Return how many tokens are remembered in a step."""
    return max(1, benchmark.sequence_length // 2)


def decode_step(predictor: Predictor, data: SampleSet, indices: Sequence[int], benchmark: Benchmark) -> Feed:
    """Return the inputs of one step for the texts of these windows.

    Raises InvalidInput for a model that does not give back what it takes as its past.
    """
    whole = data.batch(indices, predictor.inputs)
    past = min(past_tokens(benchmark), whole["input_ids"].shape[1] - 1)
    states = [info.name for info in predictor.inputs if is_past(info.name)]
    given = {output.name for output in predictor.outputs}
    missing = [name for name in states if _present(name) not in given]
    if missing:
        problem, remedy = f"it has no output {_present(missing[0])}", "export it with its cache as outputs"
        raise InvalidInput(INVALID_INPUT, "spec.model.source", missing[0], problem, remedy)
    before = {name: _upto(array, name, past) for name, array in whole.items()}
    found = predictor.run(before, [_present(name) for name in states])
    step = {name: _step(array, name, past) for name, array in whole.items() if name not in states}
    return {**step, **dict(zip(states, found, strict=True))}


def together(steps: Sequence[Feed], inputs: Sequence[TensorInfo], count: int) -> Feed:
    """Return steps of single texts as one step of `count` texts, repeated in turn."""
    return joined([steps[index % len(steps)] for index in range(count)], inputs)


def texts_at_once(inputs: Sequence[TensorInfo], benchmark: Benchmark, wanted: int) -> int:
    """Return how many texts one call in the offline scenario has: those wanted, or as many as memory allows."""
    states = [info for info in inputs if is_past(info.name)]
    each = sum(int(np.prod([size or 1 for size in info.sample_shape])) * info.dtype.itemsize for info in states)
    allowed = REMEMBERED_BYTES // max(1, each * past_tokens(benchmark))
    return max(benchmark.batch_size, min(wanted, allowed), 1)


def _upto(array: NDArray[np.generic], name: str, past: int) -> NDArray[np.generic]:
    return array if is_past(name) else array[:, :past]


def _step(array: NDArray[np.generic], name: str, past: int) -> NDArray[np.generic]:
    """Return the token after `past` others; of the mask all that is attended to."""
    return array[:, : past + 1] if name == "attention_mask" else array[:, past : past + 1]


def _present(name: str) -> str:
    return name.replace(PAST, PRESENT, 1)
