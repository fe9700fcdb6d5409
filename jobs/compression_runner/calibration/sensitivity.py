"""How much the answers of a graph depend on each of its weights: measured, by changing one at a time."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from compression_runner.calibration.feeding import feeds
from compression_runner.calibration.layers import tensor_of
from compression_runner.dataset import SampleSet
from compression_runner.formats.onnx_files import save
from compression_runner.formats.session import open_session

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
    expected = _outputs(model, batches)
    scale = max(sum(float((part**2).sum()) for part in expected), np.finfo(np.float64).tiny)
    found = []
    for name, array in substitutes:
        with _exchanged(model, name, array):
            got = _outputs(model, batches)
        moved = sum(float(((new - old) ** 2).sum()) for new, old in zip(got, expected, strict=True))
        found.append(moved / scale)
    return found


@contextmanager
def _exchanged(model: onnx.ModelProto, name: str, array: NDArray[np.floating]) -> Iterator[None]:
    """The model with another array in the place of an initializer, for a while."""
    tensor = tensor_of(model, name)
    before = onnx.TensorProto()
    before.CopyFrom(tensor)
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), name))
    try:
        yield
    finally:
        tensor.CopyFrom(before)


def _outputs(model: onnx.ModelProto, batches: Sequence[Mapping[str, NDArray[np.generic]]]) -> list[NDArray[np.float64]]:
    """All floating-point outputs, batch by batch."""
    # By way of a file: onnxruntime's add_initializer does not reach the weights of convolutions that it fuses.
    with tempfile.TemporaryDirectory(prefix="sensitivity-") as place:
        session = open_session(save(model, Path(place)))
    results = [result for batch in batches for result in session.run(None, dict(batch))]
    return [result.astype(np.float64) for result in results if np.issubdtype(result.dtype, np.floating)]
