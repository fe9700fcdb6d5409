"""A model ready to answer, with a fixed number of threads and nothing else that varies between runs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Feed = Mapping[str, NDArray[np.generic]]
"""The inputs of one call by name; the first dimension is the batch."""
Engine = Literal["onnxruntime", "openvino"]
"""What runs a model. A comparison is between two models in the same one."""
IR_SUFFIX: Final = ".xml"


@dataclass(frozen=True)
class TensorInfo:
    """Name, numpy type and shape of a model's input or output; None is a free dimension."""

    name: str
    dtype: np.dtype[np.generic]
    shape: tuple[int | None, ...]


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


def engine_of(model: Path) -> Engine:
    """Return what a result is measured in: OpenVINO for its own format, onnxruntime for ONNX."""
    return "openvino" if model.suffix == IR_SUFFIX else "onnxruntime"


def open_predictor(model: Path, threads: int, engine: Engine) -> Predictor:
    """Load a graph; OpenVINO reads ONNX too. Raises the engine's exceptions for a file that it cannot load."""
    if engine == "openvino":
        # It takes half a second to import, and few jobs need it.
        from compression_runner.measurement.openvino_predictor import OpenVinoPredictor

        return OpenVinoPredictor(model, threads)
    return OnnxPredictor(model, threads)


class OnnxPredictor(Predictor):
    """An onnxruntime session on the CPU over one ONNX file.

    Graph optimisations are onnxruntime's defaults, as a server would have them. Raises onnxruntime's exceptions for a
    file that it cannot load.
    """

    def __init__(self, model: Path, threads: int) -> None:
        onnxruntime.disable_telemetry_events()  # it would warn in a pod, where it cannot write
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.use_deterministic_compute = True
        options.log_severity_level = 3  # warnings of the optimiser are not the reader's business
        self._session: onnxruntime.InferenceSession | None = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = tuple(_info(node) for node in self._session.get_inputs())
        self.outputs = tuple(_info(node) for node in self._session.get_outputs())

    def run(self, feed: Feed, outputs: list[str] | None = None) -> list[NDArray[np.generic]]:
        """Return the named outputs (all by default) for one batch."""
        if self._session is None:
            raise ValueError("the predictor is closed")
        return list(self._session.run(outputs, dict(feed)))

    def close(self) -> None:
        """Free the session."""
        self._session = None


_NUMPY_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
    "tensor(uint32)": np.uint32,
    "tensor(uint64)": np.uint64,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}


def _info(node: onnxruntime.NodeArg) -> TensorInfo:
    """Return what onnxruntime says of an input or output; a type without a numpy equal counts as object."""
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape)
    return TensorInfo(name=node.name, dtype=np.dtype(_NUMPY_TYPES.get(node.type, np.object_)), shape=shape)
