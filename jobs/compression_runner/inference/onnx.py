"""Run a model in onnxruntime, without options that make results vary between machines and runs."""

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from compression_runner.inference.batch_axis import locate_batch
from compression_runner.inference.onnx_session import RUNTIME_ERRORS
from compression_runner.inference.predictor import SOURCE_MODEL, Feed, ModelOrigin, Predictor, TensorInfo


class OnnxPredictor(Predictor):
    """An onnxruntime session over one ONNX file, on the CPU.

    Graph optimizations are onnxruntime's defaults, as on a server. Raises onnxruntime's exceptions for a file that it
    cannot load.
    """

    def __init__(self, model: Path, threads: int, origin: ModelOrigin = SOURCE_MODEL) -> None:
        self._origin = origin
        onnxruntime.disable_telemetry_events()  # it would warn in a pod, where it cannot write
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.use_deterministic_compute = True
        options.log_severity_level = 3  # no warnings of the optimizer
        self._session: onnxruntime.InferenceSession | None = self._opened(model, options)
        self.inputs, self.outputs = locate_batch(
            [_info(node) for node in self._session.get_inputs()],
            [_info(node) for node in self._session.get_outputs()],
        )

    def _opened(self, model: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def run(self, feed: Feed, outputs: list[str] | None = None) -> list[NDArray[np.generic]]:
        """Return the named outputs (all by default) for one batch.

        Raises the error of the model's origin if the graph does not run on `feed`.
        """
        if self._session is None:
            raise ValueError("the predictor is closed")
        try:
            return list(self._session.run(outputs, dict(feed)))
        except RUNTIME_ERRORS as error:
            raise self._origin.not_running("onnxruntime", feed, error) from error

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
    """Describe an input or output of onnxruntime; a type without a numpy equivalent becomes object."""
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape)
    symbols = tuple(size if isinstance(size, str) else "" for size in node.shape)
    dtype = np.dtype(_NUMPY_TYPES.get(node.type, np.object_))
    return TensorInfo(name=node.name, dtype=dtype, shape=shape, symbols=symbols)
