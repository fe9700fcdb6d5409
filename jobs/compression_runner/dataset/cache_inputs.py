"""The key-value cache among the inputs of a causal language model."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from compression_runner.errors import InvalidInput
from compression_runner.inference.predictor import TensorInfo
from compressionjob.conditions import INVALID_INPUT

PAST: Final = "past_key_values."
PRESENT: Final = "present."


def is_past(name: str) -> bool:
    """Return whether an input takes keys or values of previous tokens."""
    return name.startswith(PAST)


def takes_past(inputs: Iterable[TensorInfo]) -> bool:
    """Return whether a graph has a key-value cache."""
    return any(is_past(info.name) for info in inputs)


def empty_past(info: TensorInfo, batch: int) -> NDArray[np.generic]:
    """Return an empty cache for one input, shape (batch, heads, 0, width of a head).

    Raises InvalidInput if the graph does not fix heads and width.
    """
    if len(info.shape) != 4 or info.shape[1] is None or info.shape[3] is None:
        problem = f"input {info.name} has shape {info.shape}, not (batch, heads, past, width of a head)"
        remedy = "export it with a fixed number of heads, as Optimum's text-generation-with-past does"
        raise InvalidInput(INVALID_INPUT, "spec.model.source", info.name, problem, remedy)
    return np.zeros((batch, info.shape[1], 0, info.shape[3]), dtype=info.dtype)
