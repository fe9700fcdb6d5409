"""Errors of a calibration on a graph, as errors of the stage."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from compression_runner.calibration.inverse import NotInvertible
from compression_runner.calibration.sequential import UnsupportedGraph
from compression_runner.errors import BadRecipe, cause
from compression_runner.inference.onnx_session import RUNTIME_ERRORS

FAILURES: Final[tuple[type[Exception], ...]] = (UnsupportedGraph, *RUNTIME_ERRORS)


@contextmanager
def calibration_errors(field: str, value: str, *, smooths: bool = False) -> Iterator[None]:
    """Convert the errors of a calibration to BadRecipe, with the value that asks for it; `smooths` for SmoothQuant."""
    try:
        yield
    except NotInvertible as error:
        remedy = "use algorithm rtn or awq, or other calibration data"
        raise BadRecipe("CalibrationFailed", field, value, error.problem, remedy) from error
    except FAILURES as error:
        problem = f"sequential calibration cannot run the graph: {cause(error)}"
        remedy = "remove smoothQuant" if smooths else "use algorithm rtn, and one dtype"
        raise BadRecipe("CalibrationFailed", field, value, problem, remedy) from error
