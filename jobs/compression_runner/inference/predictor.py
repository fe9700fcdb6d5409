"""The interface of a model that is ready for inference, with a fixed number of threads."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Literal, Self, TypeGuard

import numpy as np
from numpy.typing import NDArray

from compression_runner.errors import BadRecipe, InvalidInput, RunnerError, cause
from compression_runner.inference.placement import Placement
from compressionjob.engines import TORCH_ENGINES, ProviderEngine, TorchEngine

Feed = Mapping[str, NDArray[np.generic]]
"""The inputs of one call by name."""
Engine = Literal["onnxruntime", "openvino", ProviderEngine, TorchEngine]
"""An inference engine. Both models of a comparison run in the same one."""


def is_torch(engine: Engine) -> TypeGuard[TorchEngine]:
    """Return whether an engine runs modules of PyTorch."""
    return engine in TORCH_ENGINES


OTHER_STAGE: Final = "change the parameters of the stage, or remove it"


@dataclass(frozen=True)
class ModelOrigin:
    """Who is responsible for a model that does not load or run: the user's source, or the stages at `field`."""

    field: str
    compressed: bool = False

    def not_loading(self, engine: Engine, name: str, error: Exception) -> RunnerError:
        """Return the error for a file that an engine cannot load."""
        if self.compressed:
            problem = f"{engine} cannot load the compressed model: {cause(error)}"
            return BadRecipe("NotLoadable", self.field, name, problem, OTHER_STAGE)
        problem = f"{engine} cannot load the graph: {cause(error)}"
        remedy = f"give a model that {engine} runs"
        return InvalidInput("InvalidModel", self.field, name, problem, remedy)

    def not_running(self, engine: Engine, feed: Feed, error: Exception) -> RunnerError:
        """Return the error for a graph that an engine cannot run on a batch."""
        given = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in feed.items())
        if self.compressed:
            problem = (
                f"the compressed model does not run in {engine} on data on which the baseline runs: {cause(error)}"
            )
            return BadRecipe("NotRunning", self.field, given, problem, OTHER_STAGE)
        noun = "model" if is_torch(engine) else "graph"
        problem = f"the {noun} does not run in {engine} on this data: {cause(error)}"
        remedy = "give data that the model takes, or correct the model"
        return InvalidInput("InvalidModel", self.field, given, problem, remedy)


SOURCE_MODEL: Final = ModelOrigin("spec.model.source")


@dataclass(frozen=True)
class TensorInfo:
    """Name, numpy type and shape of a model's input or output; None is a free dimension.

    `axis` is the batch axis, which `inference.batch_axis` locates; None if the tensor applies to all samples.
    `symbols` are the names of the dimensions, "" for a dimension without a name.
    """

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int | None, ...]
    axis: int | None = 0
    symbols: tuple[str, ...] = field(default=(), compare=False)

    @property
    def sample_shape(self) -> tuple[int | None, ...]:
        """The shape of one sample, without the batch axis."""
        return self.shape if self.axis is None else (*self.shape[: self.axis], *self.shape[self.axis + 1 :])

    @property
    def batch(self) -> int | None:
        """The batch size that the tensor fixes; None if it is free."""
        return None if self.axis is None or not self.shape else self.shape[self.axis]


def shape_text(shape: Sequence[int | None]) -> str:
    """Return a shape for messages: "(any, 64)"."""
    return str(tuple("any" if size is None else size for size in shape)).replace("'", "")


class Predictor(ABC):
    """A model that is ready to run; frees its memory on `close` or at the end of `with`."""

    inputs: tuple[TensorInfo, ...]
    """The inputs of the model."""
    outputs: tuple[TensorInfo, ...]
    """The outputs of the model."""
    precision: str = ""
    """The type of the weights, for engines that compute in it; empty for engines that follow the types of a graph."""
    compiles: bool = False
    """Whether a run may compile the model for the sizes of its inputs, which takes seconds."""

    @abstractmethod
    def run(self, feed: Feed, outputs: list[str] | None = None) -> list[NDArray[np.generic]]:
        """Return the named outputs (all by default) for one batch."""

    def placement(self, feed: Feed) -> Placement | None:
        """Run one batch, and return where each node ran; None for an engine on the CPU. Call it once, at first."""
        return None

    def one_run(self, feed: Feed) -> Feed:
        """Return the inputs of one run of the graph, for a batch of samples."""
        return feed

    @abstractmethod
    def close(self) -> None:
        """Free the model."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
