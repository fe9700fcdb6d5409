"""Context managers for the converters of onnxruntime: suppress log messages, and unify errors."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from onnx import checker, shape_inference

from compression_runner.errors import LIBRARY_ERRORS, cause
from compression_runner.inference.onnx_session import RUNTIME_ERRORS

FAILURES: Final[tuple[type[Exception], ...]] = (
    *LIBRARY_ERRORS,
    *RUNTIME_ERRORS,
    checker.ValidationError,
    shape_inference.InferenceError,
)


class QuantizerFailed(Exception):
    """onnxruntime cannot convert a graph; the text is the cause in one line."""


@contextmanager
def quantizer_errors() -> Iterator[None]:
    """Convert errors of onnxruntime's converters to QuantizerFailed."""
    try:
        yield
    except FAILURES as error:
        raise QuantizerFailed(cause(error)) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress onnxruntime's advice in the root logger to pre-process graphs: exports are already optimized.

    Raises QuantizerFailed for errors of onnxruntime in the context.
    """

    def keep(record: logging.LogRecord) -> bool:
        return "pre-processing" not in record.getMessage()

    root = logging.getLogger()
    root.addFilter(keep)
    try:
        with quantizer_errors():
            yield
    finally:
        root.removeFilter(keep)
