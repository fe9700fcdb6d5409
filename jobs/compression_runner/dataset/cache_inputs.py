"""The inputs by which a causal language model is given what it remembers of the tokens before."""

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
    """Return whether an input takes keys or values of tokens before."""
    return name.startswith(PAST)


def takes_past(inputs: Iterable[TensorInfo]) -> bool:
    """Return whether a graph decodes step by step."""
    return any(is_past(info.name) for info in inputs)


def empty_past(info: TensorInfo, batch: int) -> NDArray[np.generic]:
    """Return a past of no tokens for one input, shape (batch, heads, 0, width of a head).

    Raises InvalidInput where the graph leaves heads or width open.
    """
    if len(info.shape) != 4 or info.shape[1] is None or info.shape[3] is None:
        problem = f"input {info.name} has shape {info.shape}, not (batch, heads, past, width of a head)"
        remedy = "export it with a fixed number of heads, as Optimum's text-generation-with-past does"
        raise InvalidInput(INVALID_INPUT, "spec.model.source", info.name, problem, remedy)
    return np.zeros((batch, info.shape[1], 0, info.shape[3]), dtype=info.dtype)
