"""Columns of a parquet, jsonl, csv or npz file, read from the start up to a limit."""

import csv
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray

from compression_runner.dataset.problems import COLUMNS, SOURCE, bad_data

Column = Sequence[Any] | NDArray[Any]
Table = dict[str, Column]
"""Column name -> values, all of one length."""


def read_table(path: Path, wanted: Sequence[str], optional: Sequence[str], limit: int) -> Table:
    """Return the columns `wanted`, and those of `optional` that are there, of at most the first `limit` rows.

    Raises InvalidInput for an unknown type of file, a damaged file, a missing column or no rows.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise bad_data(SOURCE, path.name, "unknown type of file", f"give one of {', '.join(READERS)}")
    with _intact(path):
        table = reader(path, [*wanted, *optional], limit)
    for name in wanted:
        if name not in table:
            there = ", ".join(column_names(path)) or "none"
            raise bad_data(COLUMNS, name, f"there is no such column; the columns are: {there}", "name one of them")
    if not table or not len(next(iter(table.values()))):
        raise bad_data(SOURCE, path.name, "the file has no rows", "give data with at least one row")
    return table


def column_names(path: Path) -> list[str]:
    """Return the names of a file's columns; of a jsonl file those of its first row.

    Raises InvalidInput for a damaged file.
    """
    with _intact(path):
        return _names(path)


@contextmanager
def _intact(path: Path) -> Iterator[None]:
    """Turn what readers raise for damaged files into InvalidInput."""
    try:
        yield
    except (pyarrow.ArrowException, OSError, ValueError, EOFError, csv.Error, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise bad_data(
            SOURCE, path.name, f"cannot be read as {path.suffix}: {reason}", "give an intact file"
        ) from error


def _names(path: Path) -> list[str]:
    if path.suffix.lower() == ".parquet":
        return list(pyarrow.parquet.read_schema(path).names)
    if path.suffix.lower() == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            return list(arrays.files)
    with path.open(encoding="utf-8", newline="") as lines:
        if path.suffix.lower() == ".csv":
            return next(csv.reader(lines), [])
        return list(next(_json_rows(lines), {}))


def _read_parquet(path: Path, names: Sequence[str], limit: int) -> Table:
    with pyarrow.parquet.ParquetFile(path) as file:
        there = [name for name in names if name in file.schema_arrow.names]
        table: dict[str, list[Any]] = {name: [] for name in there}
        read = 0
        for batch in file.iter_batches(batch_size=min(limit, 4096), columns=there):
            for name in there:
                table[name].extend(batch.column(name)[: limit - read].to_pylist())
            read += len(batch)
            if read >= limit:
                break
    return dict(table)


def _read_csv(path: Path, names: Sequence[str], limit: int) -> Table:
    with path.open(encoding="utf-8", newline="") as lines:
        return _of_rows(islice(csv.DictReader(lines, strict=True), limit), names)


def _read_jsonl(path: Path, names: Sequence[str], limit: int) -> Table:
    with path.open(encoding="utf-8") as lines:
        return _of_rows(islice(_json_rows(lines), limit), names)


def _json_rows(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not a JSON object")
            yield row


def _of_rows(rows: Iterable[dict[str, Any]], names: Sequence[str]) -> Table:
    """Return the named columns that the first row has; a value that is missing later is None."""
    found = list(rows)
    there = [name for name in names if found and name in found[0]]
    return {name: [row.get(name) for row in found] for name in there}


def _read_npz(path: Path, names: Sequence[str], limit: int) -> Table:
    """Return arrays by name; without names, all of them."""
    with np.load(path, allow_pickle=False) as arrays:
        return {name: arrays[name][:limit] for name in (names or arrays.files) if name in arrays.files}


READERS: Final[dict[str, Callable[[Path, Sequence[str], int], Table]]] = {
    ".parquet": _read_parquet,
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".npz": _read_npz,
}
