"""onnxruntime's converters: quiet, and with one error for whatever they raise."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from onnx import checker, shape_inference

from compression_runner.errors import LIBRARY_ERRORS, cause
from compression_runner.inference.session import RUNTIME_ERRORS

FAILURES: Final[tuple[type[Exception], ...]] = (
    *LIBRARY_ERRORS,
    *RUNTIME_ERRORS,
    checker.ValidationError,
    shape_inference.InferenceError,
)


class QuantizerFailed(Exception):
    """A graph that onnxruntime cannot convert; the text is the cause in one line."""


@contextmanager
def refusing() -> Iterator[None]:
    """Turn whatever a converter of onnxruntime raises for a graph into QuantizerFailed."""
    try:
        yield
    except FAILURES as error:
        raise QuantizerFailed(cause(error)) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Holds back onnxruntime's advice to pre-process, given to the root logger: exports are optimised already.

    Raises QuantizerFailed where onnxruntime cannot do what it is asked within.
    """

    def keep(record: logging.LogRecord) -> bool:
        return "pre-processing" not in record.getMessage()

    root = logging.getLogger()
    root.addFilter(keep)
    try:
        with refusing():
            yield
    finally:
        root.removeFilter(keep)
