"""Arrays with the names of the model's inputs, as samples."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.problems import SOURCE, bad_data
from compression_runner.dataset.sample_set import Sample
from compression_runner.dataset.table import Column, Table
from compression_runner.inference.predictor import TensorInfo


def shared_arrays(shapes: Mapping[str, tuple[int, ...]], inputs: Sequence[TensorInfo]) -> set[str]:
    """Return the arrays that hold one value for all samples: those in the shape of an input without a batch axis.

    If no other input counts the samples, arrays with a free first dimension count them and are not shared.
    """
    whole = {info.name: info.shape for info in inputs if info.axis is None}
    shared = {name for name, shape in shapes.items() if name in whole and _fits(shape, whole[name])}
    if any(shapes.get(info.name) and info.name not in shared for info in inputs):
        return shared
    return {name for name in shared if not whole[name] or whole[name][0] is not None}


def array_samples(table: Table, file: str, shared: Collection[str] = ()) -> list[Sample]:
    """Return one sample per index of the first dimension of the arrays.

    `shared` arrays and single numbers are in all samples.
    Raises InvalidInput for arrays that differ in the first dimension or have none, and for NaN or infinity.
    """
    arrays = {name: _require_array(name, values) for name, values in table.items()}
    for_all = {name: array for name, array in arrays.items() if name in shared or not array.ndim}
    each = {name: array for name, array in arrays.items() if name not in for_all}
    counts = {name: len(array) for name, array in each.items()}
    if len(set(counts.values())) > 1:
        problem = f"the arrays differ in their first dimension: {counts}"
        remedy = "the first dimension counts the samples and must be equal; give a shared value as one number"
        raise bad_data(SOURCE, file, problem, f"{remedy}, or in the shape of an input without a batch axis")
    if not counts:
        problem = f"no array counts the samples: all samples share {', '.join(arrays)}"
        raise bad_data(SOURCE, file, problem, "give an array whose first dimension counts the samples")
    count = next(iter(counts.values()))
    return [for_all | {name: array[row] for name, array in each.items()} for row in range(count)]


def _fits(shape: tuple[int, ...], expected: Sequence[int | None]) -> bool:
    return len(shape) == len(expected) and all(want in (None, have) for have, want in zip(shape, expected, strict=True))


def _require_array(name: str, values: Column) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0]) if array.ndim else 0
        raise bad_data(SOURCE, name, f"sample {row} has NaN or infinity", "give finite inputs")
    return array
