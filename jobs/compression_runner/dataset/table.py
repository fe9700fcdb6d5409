"""Read the requested rows of columns of a data file."""

import csv
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow
from numpy.typing import NDArray

from compression_runner.dataset.npz import npz_columns, npz_shapes, read_npz
from compression_runner.dataset.parquet import parquet_columns, read_parquet
from compression_runner.dataset.problems import COLUMNS, SOURCE, bad_data, missing_column
from compression_runner.dataset.rows import Rows, select_rows
from compression_runner.dataset.text_files import csv_header, csv_rows, json_rows, utf8_text
from compression_runner.errors import cause

MOST_ROWS: Final = 1 << 31
Column = Sequence[Any] | NDArray[Any]
Table = dict[str, Column]
"""Column name -> values, all of one length."""


def read_table(path: Path, required: Sequence[str], optional: Sequence[str], rows: Rows) -> Table:
    """Return the columns `required`, and the `optional` columns that exist, for the `rows` that exist.

    Raises InvalidInput for an unknown type of file, a damaged file, a missing column, or no rows.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise bad_data(SOURCE, path.name, "unknown type of file", f"give one of {', '.join(READERS)}")
    with _intact(path):
        table: Table = dict(reader(path, [*required, *optional], rows))
    for name in required:
        if name not in table:
            raise missing_column(COLUMNS, name, column_names(path))
    require_rows(table, rows, path.name)
    return table


def read_whole(path: Path, names: Sequence[str]) -> Table:
    """Return arrays of an .npz file with all rows. Raises InvalidInput for a damaged file."""
    with _intact(path):
        return dict(read_npz(path, names, range(MOST_ROWS)))


def array_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the arrays of an .npz file. Raises InvalidInput for a damaged file."""
    with _intact(path):
        return npz_shapes(path)


def require_rows(table: Table, rows: Rows, name: str) -> None:
    """Raise InvalidInput for a table without rows."""
    counted = [column for column in table.values() if not isinstance(column, np.ndarray) or column.ndim]
    if table and all(map(len, counted)):
        return
    if isinstance(rows, range):
        raise bad_data(SOURCE, name, "the file has no rows", "give data with at least one row")
    raise bad_data(SOURCE, name, "this side of spec.data.split has no rows", "give more rows")


def column_names(path: Path) -> list[str]:
    """Return the names of the columns of a file; for a jsonl file those of its first row.

    Raises InvalidInput for a damaged file.
    """
    return list(_columns(path))


def number_columns(path: Path) -> list[str]:
    """Return the names of the columns with one number per row, in order; for a text file as in its first row.

    Raises InvalidInput for a damaged file.
    """
    return [name for name, numeric in _columns(path).items() if numeric]


@contextmanager
def _intact(path: Path) -> Iterator[None]:
    """Convert errors of readers for damaged files to InvalidInput."""
    try:
        yield
    except (
        pyarrow.ArrowException, OSError, ValueError, RuntimeError, EOFError, csv.Error, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        problem = f"cannot be read as {path.suffix}: {cause(error)}"
        raise bad_data(SOURCE, path.name, problem, "give an intact file") from error


def _columns(path: Path) -> Mapping[str, bool]:
    """Return column name -> whether it holds one number per row."""
    with _intact(path):
        if path.suffix.lower() == ".parquet":
            return parquet_columns(path)
        if path.suffix.lower() == ".npz":
            return npz_columns(path)
        with utf8_text(path) as lines:
            if path.suffix.lower() == ".csv":
                names, delimiter = csv_header(lines)
                values: list[Any] = next(islice(csv.reader(lines, delimiter=delimiter), 1, None), [])
                return {name: row < len(values) and _is_number(values[row]) for row, name in enumerate(names)}
            first = next(json_rows(lines, path.name), {})
            return {name: isinstance(value, (int, float)) for name, value in first.items()}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_csv(path: Path, names: Sequence[str], rows: Rows) -> Table:
    with utf8_text(path) as lines:
        return _of_rows(select_rows(csv_rows(lines, path.name, names), rows), names)


def _read_jsonl(path: Path, names: Sequence[str], rows: Rows) -> Table:
    with utf8_text(path) as lines:
        return _of_rows(select_rows(json_rows(lines, path.name), rows), names)


def _of_rows(rows: Iterable[dict[str, Any]], names: Sequence[str]) -> Table:
    """Return the named columns that exist in the first row; a value missing in a later row is None."""
    records = [{name: row[name] for name in names if name in row} for row in rows]
    columns = [name for name in names if records and name in records[0]]
    return {name: [row.get(name) for row in records] for name in columns}


READERS: Final[dict[str, Callable[[Path, Sequence[str], Rows], Mapping[str, Column]]]] = {
    ".parquet": read_parquet,
    ".jsonl": _read_jsonl,
    ".csv": _read_csv,
    ".npz": read_npz,
}
