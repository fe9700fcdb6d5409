"""From samples to the batches that a graph is calibrated with."""

from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray

from compression_runner.dataset import SampleSet
from compression_runner.inference.batch_axis import locate_batch
from compression_runner.inference.predictor import TensorInfo
from compression_runner.inference.value_info import tensor_info

TOKENS_AT_ONCE: Final = 4096
SAMPLES_AT_ONCE: Final = 32
PAST: Final = "past_key_values."
"""How the cache of a language model is called among the inputs; a text from its start has none."""

Feed = dict[str, NDArray[np.generic]]


def feeds(model: onnx.ModelProto, samples: SampleSet) -> list[Feed]:
    """All samples in batches by input name; sequences of like length together.

    Raises InvalidInput where the data does not have what the graph takes.
    """
    inputs = graph_inputs(model)
    longest = max((samples.length(index) for index in range(len(samples))), default=0)
    size = max(1, min(SAMPLES_AT_ONCE, TOKENS_AT_ONCE // max(1, longest)))
    given = [info for info in inputs if not info.name.startswith(PAST)]
    past = [info for info in inputs if info.name.startswith(PAST)]
    return [samples.batch(indices, given) | _no_past(past, len(indices)) for indices in samples.batches(given, size)]


def _no_past(inputs: list[TensorInfo], batch: int) -> Feed:
    """A cache of no tokens: its only free dimension besides the batch is how many there are."""
    shapes = {info.name: (batch, *(size or 0 for size in info.shape[1:])) for info in inputs}
    return {info.name: np.zeros(shapes[info.name], info.dtype) for info in inputs}


def graph_inputs(model: onnx.ModelProto) -> list[TensorInfo]:
    """Name, type, shape and batch axis of what a graph takes; None is a free dimension."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return list(locate_batch([tensor_info(value) for value in model.graph.input if value.name not in constants])[0])
