"""Batches of calibration samples for a graph."""

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
"""Prefix of the inputs for the key-value cache of a language model; the cache is empty at the start of a text."""

Feed = dict[str, NDArray[np.generic]]


def feeds(model: onnx.ModelProto, samples: SampleSet) -> list[Feed]:
    """Return all samples as batches by input name; a batch holds sequences of similar length.

    Raises InvalidInput if the data lacks an input of the graph.
    """
    inputs = graph_inputs(model)
    longest = max((samples.length(index) for index in range(len(samples))), default=0)
    size = max(1, min(SAMPLES_AT_ONCE, TOKENS_AT_ONCE // max(1, longest)))
    without_past = [info for info in inputs if not info.name.startswith(PAST)]
    past = [info for info in inputs if info.name.startswith(PAST)]
    return [
        samples.batch(indices, without_past) | _empty_past(past, len(indices))
        for indices in samples.batches(without_past, size)
    ]


def _empty_past(inputs: list[TensorInfo], batch: int) -> Feed:
    """Return an empty cache; its only free dimension besides the batch is the number of tokens."""
    shapes = {info.name: (batch, *(size or 0 for size in info.shape[1:])) for info in inputs}
    return {info.name: np.zeros(shapes[info.name], info.dtype) for info in inputs}


def graph_inputs(model: onnx.ModelProto) -> list[TensorInfo]:
    """Return name, type, shape and batch axis of each input of a graph; None is a free dimension."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return list(locate_batch([tensor_info(value) for value in model.graph.input if value.name not in constants])[0])
