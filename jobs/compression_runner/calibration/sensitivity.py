"""How much the answers of a graph depend on each of its weights: measured, by changing one at a time."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compression_runner.calibration.feeding import feeds
from compression_runner.calibration.layers import tensor_of
from compression_runner.dataset import SampleSet
from compression_runner.formats.onnx_files import save
from compression_runner.inference.session import open_session

FLOATS: Final = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}
WATCHED: Final = 32
"""Calibration samples on which outputs are compared."""


def output_changes(
    model: onnx.ModelProto,
    samples: SampleSet,
    substitutes: Iterable[tuple[str, NDArray[np.floating]]],
    watched: int = WATCHED,
) -> list[float]:
    """How far the outputs move, squared and relative, when one initializer alone (by name) is another array.

    Looks at the first `watched` samples.
    """
    batches = feeds(model, samples.only(list(range(min(watched, len(samples))))))
    session = _with_weights_as_inputs(model)
    expected = _outputs(session, batches)
    scale = max(sum(float((part**2).sum()) for part in expected), np.finfo(np.float64).tiny)
    found = []
    for name, array in substitutes:
        kind = numpy_helper.to_array(tensor_of(model, name)).dtype
        weight = np.ascontiguousarray(array, kind)
        got = _outputs(session, [{**batch, name: weight} for batch in batches])
        moved = sum(_moved(old, new) for new, old in zip(got, expected, strict=True))
        found.append(moved / scale)
    return found


def _moved(old: NDArray[np.float64], new: NDArray[np.float64]) -> float:
    """Return the squared distance of two outputs; those of different sizes have nothing in common."""
    if old.shape != new.shape:
        return float((old**2).sum() + (new**2).sum())
    return float(((new - old) ** 2).sum())


def _with_weights_as_inputs(model: onnx.ModelProto) -> Any:
    """A session in which every floating initializer of two and more dimensions may be fed.

    The session is opened once, where a changed graph would be written and read anew for each weight; and onnxruntime
    fuses no weight that may change into another.
    """
    inputs = model.graph.input
    before, there = len(inputs), {value.name for value in inputs}
    inputs.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in model.graph.initializer
        if len(tensor.dims) >= 2 and tensor.data_type in FLOATS and tensor.name not in there
    )
    try:
        # By way of a file: a graph of more than 2 GB has no other.
        with tempfile.TemporaryDirectory(prefix="sensitivity-") as place:
            return open_session(save(model, Path(place)))
    finally:
        del inputs[before:]


def _outputs(session: Any, batches: Sequence[Mapping[str, NDArray[np.generic]]]) -> list[NDArray[np.float64]]:
    """All floating-point outputs, batch by batch."""
    results = [result for batch in batches for result in session.run(None, dict(batch))]
    return [result.astype(np.float64) for result in results if np.issubdtype(result.dtype, np.floating)]
