"""Read columns of a parquet file batch by batch, with lists of numbers as arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet
from numpy.typing import NDArray

from compression_runner.dataset.rows import Rows, end_of, within

ROWS_AT_ONCE: Final = 512


def read_parquet(path: Path, names: Sequence[str], rows: Rows) -> dict[str, list[Any]]:
    """Return the named columns that exist; lists of numbers, also nested, as arrays."""
    with pyarrow.parquet.ParquetFile(path) as file:
        present = [name for name in names if name in file.schema_arrow.names]
        table: dict[str, list[Any]] = {name: [] for name in present}
        start, end = 0, end_of(rows)
        for batch in file.iter_batches(batch_size=min(end, ROWS_AT_ONCE), columns=present):
            taken = within(rows, start, start + len(batch))
            if taken:
                kept = batch.take(_indices(taken))
                for name in present:
                    table[name].extend(_values(kept.column(name)))
            start += len(batch)
            if start >= end:
                break
    return table


def _indices(rows: Sequence[int]) -> Any:
    """Return row numbers as an Arrow array; `pyarrow.array` would import pandas to check for a series."""
    numbers = np.asarray(rows, dtype=np.int64)
    return pyarrow.Array.from_buffers(pyarrow.int64(), len(numbers), [None, pyarrow.py_buffer(numbers)])


def parquet_columns(path: Path) -> dict[str, bool]:
    """Return column name -> whether it holds single numbers."""
    types = pyarrow.types
    schema = pyarrow.parquet.read_schema(path)
    return {
        field.name: types.is_integer(field.type) or types.is_floating(field.type) or types.is_boolean(field.type)
        for field in schema
    }


def _values(column: Any) -> list[Any]:
    """Return one value per row; None for a missing value."""
    if pyarrow.types.is_struct(column.type):
        fields = {column.type[index].name: _values(column.field(index)) for index in range(column.type.num_fields)}
        valid = column.is_valid().to_pylist()
        return [
            {name: values[row] for name, values in fields.items()} if present else None
            for row, present in enumerate(valid)
        ]
    if not _is_list(column.type) or not _is_number(_innermost(column.type)):
        return list(column.to_pylist())
    return [_array(column.slice(row, 1)) if column[row].is_valid else None for row in range(len(column))]


def _array(one: Any) -> NDArray[Any] | list[Any]:
    """Return the single list of a column as an array; as lists if inner lists differ in length."""
    numbers, shape = one, []
    while _is_list(numbers.type):
        lengths = pyarrow.compute.list_value_length(numbers).unique().to_pylist()
        if len(lengths) > 1 or None in lengths:
            return list(one.to_pylist()[0])
        shape.append(lengths[0] if lengths else 0)
        numbers = numbers.flatten()
    return np.asarray(numbers.to_numpy(zero_copy_only=False)).reshape(shape)


def _is_list(kind: Any) -> bool:
    types = pyarrow.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _innermost(kind: Any) -> Any:
    while _is_list(kind):
        kind = kind.value_type
    return kind


def _is_number(kind: Any) -> bool:
    types = pyarrow.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))
