"""Choose the engine of a model, and open it."""

from pathlib import Path
from typing import Final

from compression_runner.inference.gpu import GpuPredictor
from compression_runner.inference.onnx import OnnxPredictor
from compression_runner.inference.onnx_session import RUNTIME_ERRORS
from compression_runner.inference.predictor import SOURCE_MODEL, Engine, ModelOrigin, Predictor
from compressionjob.engines import Engine as RequestedEngine

IR_SUFFIX: Final = ".xml"
LOAD_ERRORS: Final[tuple[type[Exception], ...]] = (RuntimeError, *RUNTIME_ERRORS)
"""OpenVINO raises RuntimeError, onnxruntime its own."""


def engine_of(model: Path, requested: RequestedEngine = "auto") -> Engine:
    """Return the engine that measures a model: the job's, or OpenVINO for its own format and onnxruntime."""
    if requested == "auto" or requested == "vllm":
        return engine_of_graph(model)
    return requested


def engine_of_graph(model: Path) -> Engine:
    """Return the engine of a graph on the CPU."""
    return "openvino" if model.suffix == IR_SUFFIX else "onnxruntime"


def open_predictor(model: Path, threads: int, engine: Engine, origin: ModelOrigin = SOURCE_MODEL) -> Predictor:
    """Load a graph; OpenVINO reads ONNX too.

    Raises the error of the model's origin for a file that the engine cannot load: InvalidInput for the source.
    """
    try:
        if engine == "openvino":
            # It takes half a second to import, and few jobs need it.
            from compression_runner.inference.openvino import OpenVinoPredictor

            return OpenVinoPredictor(model, threads, origin)
        if engine == "onnxruntime":
            return OnnxPredictor(model, threads, origin)
        if engine == "onnxruntime-cuda" or engine == "onnxruntime-tensorrt":
            return GpuPredictor(model, threads, engine, origin)
    except LOAD_ERRORS as error:
        raise origin.not_loading(engine, model.name, error) from error
    raise ValueError(f"{engine} takes no graph")
