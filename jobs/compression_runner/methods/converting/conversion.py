"""From ONNX to OpenVINO's own format, compared on samples before it counts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe, InvalidInput, cause
from compression_runner.formats.openvino_files import read, save
from compression_runner.inference.batch_axis import fixed_batch
from compression_runner.inference.opening import open_predictor
from compression_runner.inference.predictor import Engine, Predictor, TensorInfo
from compression_runner.inference.session import RUNTIME_ERRORS
from compression_runner.inference.similarity import row_cosines

ENGINE_ERRORS: Final[tuple[type[Exception], ...]] = (*RUNTIME_ERRORS, RuntimeError)
COMPARED: Final = 8
ENOUGH: Final = 0.99
"""Cosine of the answers: integers and half precision are rounded otherwise, and nothing else may differ."""


def convert(graph: Path, samples: SampleSet, into: Path, field: str) -> Mapping[str, Any]:
    """Writes the IR, and tells how near its answers are to those of the graph in onnxruntime.

    Raises BadRecipe where OpenVINO cannot read the graph, or where it answers otherwise.
    """
    try:
        written = save(read(graph), into)
    except RuntimeError as error:
        raise _refused(field, f"OpenVINO cannot read the graph: {cause(error)}") from error
    with _opened(graph, "onnxruntime", field) as before, _opened(written, "openvino", field) as after:
        return {"comparedInputs": min(COMPARED, len(samples)), "cosine": _compare(before, after, samples, field)}


def _compare(before: Predictor, after: Predictor, samples: SampleSet, field: str) -> float:
    names = [output.name for output in before.outputs if output.dtype.kind == "f"]
    least = 1.0
    for index in range(min(COMPARED, len(samples))):
        feed = samples.batch(_rows(before.inputs, index), before.inputs)
        expected = before.run(feed, names)
        try:
            answers = after.run(feed, names)
        except (InvalidInput, KeyError) as error:  # the result is to blame, and not the job
            raise _refused(field, f"the result does not run: {cause(error)}") from error
        for old, new in zip(expected, answers, strict=True):
            least = min(least, _cosine(np.asarray(old, np.float32), np.asarray(new, np.float32)))
    if least < ENOUGH:
        raise _refused(field, f"the result answers otherwise than the ONNX graph (cosine {least:.3f})")
    return round(least, 6)


def _rows(inputs: tuple[TensorInfo, ...], index: int) -> list[int]:
    return [index] * (fixed_batch(inputs) or 1)


def _cosine(old: Any, new: Any) -> float:
    """The cosine of all values together; -1 where shapes differ or a value is not finite."""
    if old.shape != new.shape or not np.isfinite(new).all():
        return -1.0
    return float(row_cosines(old.reshape(1, -1), new.reshape(1, -1))[0])


def _opened(graph: Path, engine: Engine, field: str) -> Predictor:
    try:
        return open_predictor(graph, 1, engine)
    except ENGINE_ERRORS as error:
        raise _refused(field, f"{engine} does not load it: {cause(error)}") from error


def _refused(field: str, problem: str) -> BadRecipe:
    return BadRecipe("ConversionFailed", field, "openvino", problem, "publish ONNX instead (spec.output.format: onnx)")
