"""A model ready to answer, with a fixed number of threads and nothing else that varies between runs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from compression_runner.errors import InvalidInput, cause

Feed = Mapping[str, NDArray[np.generic]]
"""The inputs of one call by name."""
Engine = Literal["onnxruntime", "openvino"]
"""What runs a model. A comparison is between two models in the same one."""


@dataclass(frozen=True)
class TensorInfo:
    """Name, numpy type and shape of a model's input or output; None is a free dimension.

    `axis` is the dimension that counts the samples of a batch, None where the tensor holds for all of them.
    `inference.batch_axis` finds it. `symbols` are the names of the dimensions, "" where a dimension has none.
    """

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int | None, ...]
    axis: int | None = 0
    symbols: tuple[str, ...] = field(default=(), compare=False)

    @property
    def sample_shape(self) -> tuple[int | None, ...]:
        """The shape of one sample: without the batch axis, where there is one."""
        return self.shape if self.axis is None else (*self.shape[: self.axis], *self.shape[self.axis + 1 :])

    @property
    def batch(self) -> int | None:
        """The batch that the tensor fixes; None where it is free."""
        return None if self.axis is None or not self.shape else self.shape[self.axis]


class Predictor(ABC):
    """A model on the CPU; frees its memory on `close` or at the end of `with`."""

    inputs: tuple[TensorInfo, ...]
    """What it takes."""
    outputs: tuple[TensorInfo, ...]
    """What it gives."""

    @abstractmethod
    def run(self, feed: Feed, outputs: list[str] | None = None) -> list[NDArray[np.generic]]:
        """Return the named outputs (all by default) for one batch."""

    @abstractmethod
    def close(self) -> None:
        """Free the model."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def not_running(engine: Engine, feed: Feed, error: Exception) -> InvalidInput:
    """Return the error for a graph that an engine cannot run on a batch."""
    given = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in feed.items())
    problem = f"the graph does not run in {engine} on this data: {cause(error)}"
    remedy = "give data that the model takes, or correct the model"
    return InvalidInput("InvalidModel", "spec.model.source", given, problem, remedy)
