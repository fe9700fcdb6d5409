"""Which engine runs a model, and how it is opened."""

from pathlib import Path
from typing import Final

from compression_runner.errors import InvalidInput, cause
from compression_runner.inference.onnx import OnnxPredictor
from compression_runner.inference.predictor import Engine, Predictor
from compression_runner.inference.session import RUNTIME_ERRORS

IR_SUFFIX: Final = ".xml"
LOAD_ERRORS: Final[tuple[type[Exception], ...]] = (RuntimeError, *RUNTIME_ERRORS)
"""OpenVINO raises RuntimeError, onnxruntime its own."""


def engine_of(model: Path) -> Engine:
    """Return what a result is measured in: OpenVINO for its own format, onnxruntime for ONNX."""
    return "openvino" if model.suffix == IR_SUFFIX else "onnxruntime"


def open_predictor(model: Path, threads: int, engine: Engine) -> Predictor:
    """Load a graph; OpenVINO reads ONNX too. Raises InvalidInput for a file that the engine cannot load."""
    try:
        if engine == "openvino":
            # It takes half a second to import, and few jobs need it.
            from compression_runner.inference.openvino import OpenVinoPredictor

            return OpenVinoPredictor(model, threads)
        return OnnxPredictor(model, threads)
    except LOAD_ERRORS as error:
        problem, remedy = (
            f"{engine} cannot load the graph: {cause(error)}",
            f"give a model that {engine} runs on the CPU",
        )
        raise InvalidInput("InvalidModel", "spec.model.source", model.name, problem, remedy) from error
