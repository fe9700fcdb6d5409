"""Which engine runs a model, and how it is opened."""

from pathlib import Path
from typing import Final

from compression_runner.inference.onnx import OnnxPredictor
from compression_runner.inference.predictor import Engine, Predictor

IR_SUFFIX: Final = ".xml"


def engine_of(model: Path) -> Engine:
    """Return what a result is measured in: OpenVINO for its own format, onnxruntime for ONNX."""
    return "openvino" if model.suffix == IR_SUFFIX else "onnxruntime"


def open_predictor(model: Path, threads: int, engine: Engine) -> Predictor:
    """Load a graph; OpenVINO reads ONNX too. Raises the engine's exceptions for a file that it cannot load."""
    if engine == "openvino":
        # It takes half a second to import, and few jobs need it.
        from compression_runner.inference.openvino import OpenVinoPredictor

        return OpenVinoPredictor(model, threads)
    return OnnxPredictor(model, threads)
