"""Measure the sensitivity of the outputs of a graph to each weight, by changing one weight at a time."""

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
from compression_runner.inference.onnx_session import open_session

FLOATS: Final = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}
MAX_SAMPLES: Final = 32
"""Calibration samples on which outputs are compared."""


def output_changes(
    model: onnx.ModelProto,
    samples: SampleSet,
    substitutes: Iterable[tuple[str, NDArray[np.floating]]],
    max_samples: int = MAX_SAMPLES,
) -> list[float]:
    """Return, for each substitute of one initializer (by name), the relative squared change of the outputs.

    Uses the first `max_samples` samples.
    """
    batches = feeds(model, samples.only(list(range(min(max_samples, len(samples))))))
    session = _with_weights_as_inputs(model)
    expected = _outputs(session, batches)
    scale = max(sum(float((part**2).sum()) for part in expected), np.finfo(np.float64).tiny)
    changes = []
    for name, array in substitutes:
        kind = numpy_helper.to_array(tensor_of(model, name)).dtype
        weight = np.ascontiguousarray(array, kind)
        outputs = _outputs(session, [{**batch, name: weight} for batch in batches])
        change = sum(_squared_distance(old, new) for new, old in zip(outputs, expected, strict=True))
        changes.append(change / scale)
    return changes


def _squared_distance(old: NDArray[np.float64], new: NDArray[np.float64]) -> float:
    """Return the squared distance of two outputs; the sum of their squares if their shapes differ."""
    if old.shape != new.shape:
        return float((old**2).sum() + (new**2).sum())
    return float(((new - old) ** 2).sum())


def _with_weights_as_inputs(model: onnx.ModelProto) -> Any:
    """Open a session that takes every floating-point initializer of two or more dimensions as an input.

    One session serves all weights, so no changed graph is written and read again. onnxruntime does not fuse weights
    that are inputs.
    """
    inputs = model.graph.input
    before, input_names = len(inputs), {value.name for value in inputs}
    inputs.extend(
        helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        for tensor in model.graph.initializer
        if len(tensor.dims) >= 2 and tensor.data_type in FLOATS and tensor.name not in input_names
    )
    try:
        # Through a file: a graph of more than 2 GB cannot be loaded from memory.
        with tempfile.TemporaryDirectory(prefix="sensitivity-") as folder:
            return open_session(save(model, Path(folder)))
    finally:
        del inputs[before:]


def _outputs(session: Any, batches: Sequence[Mapping[str, NDArray[np.generic]]]) -> list[NDArray[np.float64]]:
    """Return all floating-point outputs, batch by batch."""
    results = [result for batch in batches for result in session.run(None, dict(batch))]
    return [result.astype(np.float64) for result in results if np.issubdtype(result.dtype, np.floating)]
