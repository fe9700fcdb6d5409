"""Arrays that bear the names of the model's inputs, as samples."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.problems import SOURCE, bad_data
from compression_runner.dataset.sample_set import Sample
from compression_runner.dataset.table import Column, Table
from compression_runner.inference.predictor import TensorInfo


def shared_arrays(shapes: Mapping[str, tuple[int, ...]], inputs: Sequence[TensorInfo]) -> set[str]:
    """Return the arrays that hold one value for all samples: those of inputs without a batch axis, as the model takes
    them.

    Where that leaves no input to count the samples, a free first dimension does, whatever its name is.
    """
    whole = {info.name: info.shape for info in inputs if info.axis is None}
    found = {name for name, shape in shapes.items() if name in whole and _fits(shape, whole[name])}
    if any(shapes.get(info.name) and info.name not in found for info in inputs):
        return found
    return {name for name in found if not whole[name] or whole[name][0] is not None}


def array_samples(table: Table, file: str, shared: Collection[str] = ()) -> list[Sample]:
    """Return one sample per index of the arrays' first dimension.

    `shared` arrays and single numbers are in all of them.
    Raises InvalidInput for arrays that differ in it, where there is none, or for NaN or infinity.
    """
    arrays = {name: _require_array(name, values) for name, values in table.items()}
    for_all = {name: array for name, array in arrays.items() if name in shared or not array.ndim}
    each = {name: array for name, array in arrays.items() if name not in for_all}
    counts = {name: len(array) for name, array in each.items()}
    if len(set(counts.values())) > 1:
        problem = f"the arrays differ in their first dimension: {counts}"
        remedy = (
            "the first dimension counts the samples and must be the same; give what all samples share as one number"
        )
        raise bad_data(SOURCE, file, problem, f"{remedy}, or in the shape of an input without a batch axis")
    if not counts:
        problem = f"no array counts the samples: {', '.join(arrays)} hold for all of them"
        raise bad_data(SOURCE, file, problem, "give an array whose first dimension counts the samples")
    count = next(iter(counts.values()))
    return [for_all | {name: array[row] for name, array in each.items()} for row in range(count)]


def _fits(shape: tuple[int, ...], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(want in (None, have) for have, want in zip(shape, wanted, strict=True))


def _require_array(name: str, values: Column) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0]) if array.ndim else 0
        raise bad_data(SOURCE, name, f"sample {row} has NaN or infinity", "give finite inputs")
    return array
