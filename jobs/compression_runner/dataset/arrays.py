"""Arrays that bear the names of the model's inputs, as samples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from compression_runner.dataset.problems import SOURCE, bad_data
from compression_runner.dataset.sample_set import Sample
from compression_runner.dataset.table import Column, Table


def array_samples(table: Table, file: str) -> list[Sample]:
    """Return one sample per index of the arrays' first dimension.

    Raises InvalidInput for arrays that differ in it, are single numbers, or hold NaN or infinity.
    """
    arrays = {name: _require_array(name, values) for name, values in table.items()}
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) != 1:
        problem = f"the arrays differ in their first dimension: {counts}"
        raise bad_data(SOURCE, file, problem, "the first dimension counts the samples and must be the same")
    count = next(iter(counts.values()))
    return [{name: array[row] for name, array in arrays.items()} for row in range(count)]


def _require_array(name: str, values: Column) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim == 0:
        raise bad_data(SOURCE, name, "the array is a single number", "give arrays whose first dimension is the samples")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0][0])
        raise bad_data(SOURCE, name, f"sample {row} has NaN or infinity", "give finite inputs")
    return array
