"""Check that onnxruntime has a kernel for every operator of a graph."""

from pathlib import Path

from compression_runner.errors import BadRecipe, cause
from compression_runner.inference.onnx_session import RUNTIME_ERRORS, open_session


def require_loadable(graph: Path, field: str) -> None:
    """Raise BadRecipe if onnxruntime on the CPU does not load the graph."""
    try:
        open_session(graph)
    except RUNTIME_ERRORS as error:
        problem, remedy = (
            f"the quantized graph does not load in onnxruntime: {cause(error)}",
            "remove the stage, or use cast",
        )
        raise BadRecipe("NotLoadable", field, graph.name, problem, remedy) from error
