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
def calibration_errors(field: str, dtype: str) -> Iterator[None]:
    """Convert the errors of a calibration to BadRecipe."""
    try:
        yield
    except NotInvertible as error:
        remedy = "use algorithm rtn or awq, or other calibration data"
        raise BadRecipe("CalibrationFailed", field, dtype, error.problem, remedy) from error
    except FAILURES as error:
        problem = f"sequential calibration cannot run the graph: {cause(error)}"
        raise BadRecipe("CalibrationFailed", field, dtype, problem, "use algorithm rtn, and one dtype") from error
