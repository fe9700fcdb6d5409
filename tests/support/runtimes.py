"""Graphs in a runtime that is not the one that this project measures in."""

from pathlib import Path
from typing import Any


def elsewhere(model: Path, feed: dict[str, Any]) -> tuple[Any, str]:
    """Return the first output in another runtime, and its name: onnx's reference, or OpenVINO where that lacks an
    operator.

    Its source is run in processes without this project's code: it imports what it needs itself.
    """
    from onnx.reference import ReferenceEvaluator

    try:
        return ReferenceEvaluator(str(model)).run(None, feed)[0], "onnx"
    except RuntimeError as error:  # NotImplementedError is one, too
        if not isinstance(error, NotImplementedError) and "No implementation for operator" not in str(error):
            raise
    import openvino

    return openvino.Core().compile_model(model, "CPU")(feed)[0], "openvino"
