"""A decoding step as a query: the work of a served language model for every generated token.

One query generates one token of each of `batchSize` texts. Its KV cache holds half of `sequenceLength` tokens: the mean
while a text of that length is generated. So a latency is the time of a token, and samples per second are tokens per
second. The model itself computes the KV cache from the evaluation data.
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
"""Most bytes in the KV caches of all texts of one call in the offline scenario."""


def past_tokens(benchmark: Benchmark) -> int:
    """Return how many tokens the KV cache holds in a step."""
    return max(1, benchmark.sequence_length // 2)


def decode_step(predictor: Predictor, data: SampleSet, indices: Sequence[int], benchmark: Benchmark) -> Feed:
    """Return the inputs of one step for the texts of these windows.

    Raises InvalidInput for a model that takes a KV cache and does not return it.
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
    cache = predictor.run(before, [_present(name) for name in states])
    step = {name: _step(array, name, past) for name, array in whole.items() if name not in states}
    return {**step, **dict(zip(states, cache, strict=True))}


def together(steps: Sequence[Feed], inputs: Sequence[TensorInfo], count: int) -> Feed:
    """Join steps of single texts into one step of `count` texts, repeating them in turn."""
    return joined([steps[index % len(steps)] for index in range(count)], inputs)


def texts_at_once(inputs: Sequence[TensorInfo], benchmark: Benchmark, wanted: int) -> int:
    """Return how many texts one call in the offline scenario has: `wanted`, or as many as memory allows."""
    states = [info for info in inputs if is_past(info.name)]
    each = sum(int(np.prod([size or 1 for size in info.sample_shape])) * info.dtype.itemsize for info in states)
    allowed = REMEMBERED_BYTES // max(1, each * past_tokens(benchmark))
    return max(benchmark.batch_size, min(wanted, allowed), 1)


def _upto(array: NDArray[np.generic], name: str, past: int) -> NDArray[np.generic]:
    return array if is_past(name) else array[:, :past]


def _step(array: NDArray[np.generic], name: str, past: int) -> NDArray[np.generic]:
    """Return the token after the first `past`; of the attention mask also all before it."""
    return array[:, : past + 1] if name == "attention_mask" else array[:, past : past + 1]


def _present(name: str) -> str:
    return name.replace(PAST, PRESENT, 1)
