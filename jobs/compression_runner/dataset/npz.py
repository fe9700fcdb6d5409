"""Read arrays of an .npz file: only the requested rows, and no pickled objects."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from compression_runner.dataset.rows import Rows, end_of, within

SUFFIX: Final = ".npy"


def read_npz(path: Path, names: Sequence[str], rows: Rows) -> dict[str, NDArray[Any]]:
    """Return arrays by name, with the first dimension cut to the rows; without names, all arrays.

    A single number stays a scalar.
    """
    with zipfile.ZipFile(path) as archive:
        stored = _names(archive)
        return {name: _read(archive, name, rows) for name in (names or stored) if name in stored}


def npz_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array."""
    with zipfile.ZipFile(path) as archive:
        return {name: shape for name, (shape, _) in _headers(archive).items()}


def npz_columns(path: Path) -> dict[str, bool]:
    """Return for each array whether it holds one number per row."""
    with zipfile.ZipFile(path) as archive:
        return {name: len(shape) == 1 and dtype.kind in "uifb" for name, (shape, dtype) in _headers(archive).items()}


def _headers(archive: zipfile.ZipFile) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    headers = {}
    for name in _names(archive):
        with archive.open(name + SUFFIX) as file:
            shape, _, dtype = _header(file)
        headers[name] = shape, dtype
    return headers


def _names(archive: zipfile.ZipFile) -> list[str]:
    return [name.removesuffix(SUFFIX) for name in archive.namelist() if name.endswith(SUFFIX)]


def _read(archive: zipfile.ZipFile, name: str, rows: Rows) -> NDArray[Any]:
    with archive.open(name + SUFFIX) as file:
        shape, by_column, dtype = _header(file)
        if dtype.hasobject:
            raise ValueError(f"the array {name} holds Python objects; store texts as an array of dtype str")
        if not shape or by_column:
            with archive.open(name + SUFFIX) as reopened:
                whole = np.asarray(npy.read_array(reopened, allow_pickle=False))
            return whole[within(rows, 0, len(whole))] if shape else whole
        count = min(end_of(rows), shape[0])
        each = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        content = file.read(count * each)
        if len(content) < count * each:
            raise ValueError(f"the array {name} is truncated")
        # Indexing copies: an array over the bytes of a file is read-only.
        array = np.frombuffer(content, dtype=dtype).reshape(count, *shape[1:])
        return array[within(rows, 0, count)]


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, by_column, dtype = read(file)
    return shape, by_column, dtype
