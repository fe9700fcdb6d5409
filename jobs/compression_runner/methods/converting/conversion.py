"""Convert ONNX to OpenVINO IR, and compare the outputs on samples."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe, RunnerError, cause
from compression_runner.formats.openvino_files import read, save
from compression_runner.inference.batch_axis import fixed_batch
from compression_runner.inference.opening import open_predictor
from compression_runner.inference.predictor import Engine, ModelOrigin, Predictor, TensorInfo
from compression_runner.inference.similarity import row_cosines
from compression_runner.methods.converting.quantized_tables import fold_sliced_zeros, with_constant_tables

UNCONVERTED: Final = re.compile(r"(?:Conversion is failed for|No conversion rule found for operations): (.+)")
MAX_COMPARED: Final = 8
MIN_COSINE: Final = 0.99
"""Minimum cosine of the outputs: only the rounding of integers and half precision may differ."""


def convert(graph: Path, samples: SampleSet, into: Path, field: str) -> Mapping[str, Any]:
    """Write the IR, and return the similarity of its outputs to those of the graph in onnxruntime.

    Raises BadRecipe if OpenVINO cannot read the graph, or its outputs differ.
    """
    try:
        with with_constant_tables(graph) as readable:
            model = read(readable)
            fold_sliced_zeros(model)
            written = save(model, into)
    except RuntimeError as error:
        raise _refused(field, f"OpenVINO cannot read the graph: {_unread(error)}") from error
    with _opened(graph, "onnxruntime", field) as before, _opened(written, "openvino", field) as after:
        return {"comparedInputs": min(MAX_COMPARED, len(samples)), "cosine": _compare(before, after, samples, field)}


def _unread(error: RuntimeError) -> str:
    """Return the operators that OpenVINO cannot convert, or the cause of another error."""
    names = UNCONVERTED.findall(str(error))
    return f"it does not convert {'; '.join(names)}" if names else cause(error)


def _compare(before: Predictor, after: Predictor, samples: SampleSet, field: str) -> float:
    names = [output.name for output in before.outputs if output.dtype.kind == "f"]
    least = 1.0
    for index in range(min(MAX_COMPARED, len(samples))):
        feed = samples.batch(_rows(before.inputs, index), before.inputs)
        expected = before.run(feed, names)
        try:
            answers = after.run(feed, names)
        except (RunnerError, KeyError) as error:
            raise _refused(field, f"the converted model does not run: {cause(error)}") from error
        for old, new in zip(expected, answers, strict=True):
            least = min(least, _cosine(np.asarray(old, np.float32), np.asarray(new, np.float32)))
    if least < MIN_COSINE:
        raise _refused(field, f"the outputs of the converted model differ from the ONNX graph (cosine {least:.3f})")
    return round(least, 6)


def _rows(inputs: tuple[TensorInfo, ...], index: int) -> list[int]:
    return [index] * (fixed_batch(inputs) or 1)


def _cosine(old: Any, new: Any) -> float:
    """Return the cosine over all values; -1 if shapes differ or a value is not finite."""
    if old.shape != new.shape or not np.isfinite(new).all():
        return -1.0
    return float(row_cosines(old.reshape(1, -1), new.reshape(1, -1))[0])


def _opened(graph: Path, engine: Engine, field: str) -> Predictor:
    try:
        return open_predictor(graph, 1, engine, ModelOrigin(field, compressed=True))
    except RunnerError as error:
        raise _refused(field, f"{engine} does not load it: {cause(error)}") from error


def _refused(field: str, problem: str) -> BadRecipe:
    return BadRecipe("ConversionFailed", field, "openvino", problem, "publish ONNX instead (spec.output.format: onnx)")
