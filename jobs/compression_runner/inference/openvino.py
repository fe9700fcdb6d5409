"""Run a model in OpenVINO on the CPU, without options that make results vary between machines and runs."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray

from compression_runner.inference.batch_axis import locate_batch
from compression_runner.inference.openvino_settings import cpu_settings
from compression_runner.inference.predictor import SOURCE_MODEL, Feed, ModelOrigin, Predictor, TensorInfo


class OpenVinoPredictor(Predictor):
    """A compiled model over an OpenVINO IR or an ONNX file.

    Floats are computed in float32; OpenVINO's default may be bfloat16. Raises RuntimeError for a file that it cannot
    load.
    """

    def __init__(self, model: Path, threads: int, origin: ModelOrigin = SOURCE_MODEL) -> None:
        self._origin = origin
        core = openvino.Core()
        compiled: Any = core.compile_model(core.read_model(model), "CPU", cpu_settings(threads))
        self._request: Any = compiled.create_infer_request()
        self.inputs, self.outputs = locate_batch(
            [_info(port) for port in compiled.inputs], [_info(port) for port in compiled.outputs]
        )

    def run(self, feed: Feed, outputs: list[str] | None = None) -> list[NDArray[np.generic]]:
        """Return the named outputs (all by default) for one batch.

        Raises the error of the model's origin if the graph does not run on `feed`.
        """
        if self._request is None:
            raise ValueError("the predictor is closed")
        try:
            results = self._request.infer(dict(feed))
        except RuntimeError as error:
            raise self._origin.not_running("openvino", feed, error) from error
        return [results[name] for name in outputs or [output.name for output in self.outputs]]

    def close(self) -> None:
        """Free the compiled model."""
        self._request = None


def _info(port: Any) -> TensorInfo:
    shape = tuple(None if size.is_dynamic else int(size.get_length()) for size in port.get_partial_shape())
    kind = port.get_element_type()
    dtype = np.dtype(np.object_) if kind == openvino.Type.string else np.dtype(kind.to_dtype())
    return TensorInfo(name=port.get_any_name(), dtype=dtype, shape=shape)
