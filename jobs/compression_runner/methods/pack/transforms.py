"""Split numbers into streams of similar bytes, and join them again.

Flags select the transforms, applied in this order:

    SPARSE  a bit map of the numbers that are not 0 (a byte's highest bit first) is the first stream; the rest goes on
            with those numbers alone
    ROTATE  the highest bit, a float's sign, becomes the lowest, so that the highest byte is all exponent (for float32
            and bfloat16)
    planes  always: one stream for each byte of a number, the lowest first
    ROWS    the rows of the highest plane are sorted by a class, those of one class in order; the classes, a byte for
            each row, are the stream before the planes. Not with SPARSE or GRID.
    GRID    for numbers of one byte: each row and each column has a class (signed bytes, two streams), and the context
            that a number is coded in is row class + column class, limited to 0..5; the numbers are the third stream.
            Not with any other flag.

Byte planes are Blosc's shuffle filter (Alted 2010, doi:10.1109/MCSE.2010.51); the rotated sign is ZipNN's
(Hershcovitch et al. 2024, arXiv:2411.05239).
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Numbers = NDArray[Any]

ROTATE: Final = 1
ROWS: Final = 2
SPARSE: Final = 4
GRID: Final = 8
WIDTHS: Final = (1, 2, 4, 8)
CLASSES: Final = 8
CONTEXTS: Final = 6


def split(data: bytes, width: int, flags: int, row: int) -> list[Bytes]:
    """Return the streams of a chunk. Its length is a multiple of `width`, and with ROWS or GRID also of `row` bytes."""
    numbers: Numbers = np.frombuffer(data, f"<u{width}")
    if flags & GRID:
        of_rows, of_columns = grid_classes(numbers.reshape(-1, row))
        return [of_rows.view(np.uint8), of_columns.view(np.uint8), numbers]
    streams: list[Bytes] = []
    if flags & SPARSE:
        kept = numbers != 0
        streams.append(np.packbits(kept))
        numbers = numbers[kept]
    planes = _planes(_rotated(numbers) if flags & ROTATE else numbers)
    if flags & ROWS:
        rows = planes[-1].reshape(-1, row // width)
        classes = row_classes(rows)
        streams.append(classes)
        planes[-1] = rows[np.argsort(classes, kind="stable")].reshape(-1)
    return streams + planes


def join(streams: Sequence[Bytes], size: int, width: int, flags: int, row: int) -> bytes:
    """Join streams to the chunk of `size` bytes.

    Raises ValueError for streams that do not fit each other.
    """
    if flags & GRID:
        return streams[2].tobytes()
    rest = list(streams)
    kept = _kept(rest.pop(0), size // width) if flags & SPARSE else None
    if flags & ROWS:
        classes = rest.pop(0)
        if len(classes) * row != size:
            raise ValueError("the number of row classes is not the number of rows")
        sorted_rows = rest[-1].reshape(len(classes), -1)
        rows = np.empty_like(sorted_rows)
        rows[np.argsort(classes, kind="stable")] = sorted_rows
        rest[-1] = rows.reshape(-1)
    numbers = _joined(rest, width)
    if flags & ROTATE:
        numbers = _rotated_back(numbers)
    if kept is not None:
        spread: Numbers = np.zeros(size // width, numbers.dtype)
        spread[kept] = numbers
        numbers = spread
    return numbers.tobytes()


def fits(width: int, flags: int, row: int, size: int) -> bool:
    """Return whether `split` can produce these settings for a chunk of `size` bytes."""
    if width not in WIDTHS or not 0 <= flags < 16 or size % width:
        return False
    if flags & GRID and (flags != GRID or width != 1):
        return False
    if flags & ROWS and flags & SPARSE:
        return False
    return not flags & (ROWS | GRID) or (row > 0 and not row % width and not size % row)


def stream_count(width: int, flags: int) -> int:
    """Return the number of streams of a chunk."""
    if flags & GRID:
        return 3
    return width + bool(flags & SPARSE) + bool(flags & ROWS)


def row_classes(rows: Bytes) -> Bytes:
    """Return a class for each row of exponents by their mean, in classes of equal size with similar distributions."""
    size = rows.mean(1, dtype=np.float64)
    ordered = np.sort(size)
    edges = ordered[[len(size) * index // CLASSES for index in range(1, CLASSES)]]
    classes: Bytes = np.searchsorted(edges, size, side="right").astype(np.uint8)
    return classes


def grid_classes(numbers: Bytes) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return classes of rows and columns; their sums estimate the distance of a number from the most frequent one.

    The model is a product of a row factor and a column factor, so their logarithms add. The class steps are such that
    most sums are from 0 to CONTEXTS - 1.
    """
    middle = np.uint8(np.bincount(numbers.reshape(-1), minlength=256).argmax())
    distance = np.abs((numbers - middle).view(np.int8).astype(np.int16))
    rows, columns = (np.log2(distance.mean(axis, dtype=np.float64) + 0.25) for axis in (1, 0))
    sums = np.sort((rows[:, None] + columns[None, :: max(1, len(columns) // 64)]).reshape(-1))
    low, high = sums[len(sums) // 25], sums[len(sums) * 4 // 5]
    step = max((high - low) / (CONTEXTS - 1), 1e-3)
    start = float(columns.min())
    of_rows = np.clip(np.floor((rows + start - low) / step + 0.5), -128, 127)
    of_columns = np.clip(np.floor((columns - start) / step + 0.5), -128, 127)
    return of_rows.astype(np.int8), of_columns.astype(np.int8)


def grid_contexts(row_classes: Bytes, column_classes: Bytes) -> Bytes:
    """Return the context of each number, row by row."""
    sums = row_classes.view(np.int8)[:, None].astype(np.int16) + column_classes.view(np.int8)
    contexts: Bytes = np.clip(sums, 0, CONTEXTS - 1).astype(np.uint8).reshape(-1)
    return contexts


def _planes(numbers: Numbers) -> list[Bytes]:
    width = numbers.dtype.itemsize
    if width == 1:
        return [numbers.view(np.uint8)]
    kind = numbers.dtype.type
    # Shift and cast: numpy vectorizes both, unlike a strided copy.
    return [(numbers >> kind(8 * index)).astype(np.uint8) for index in range(width)]


def _joined(planes: Sequence[Bytes], width: int) -> Numbers:
    if len(planes) != width or len({len(plane) for plane in planes}) != 1:
        raise ValueError("the byte planes are not of one length")
    numbers: Numbers = planes[0].astype(f"<u{width}")
    kind = numbers.dtype.type
    for index in range(1, width):
        numbers |= planes[index].astype(numbers.dtype) << kind(8 * index)
    return numbers


def _rotated(numbers: Numbers) -> Numbers:
    kind = numbers.dtype.type
    rotated: Numbers = numbers << kind(1)
    rotated |= numbers >> kind(8 * numbers.dtype.itemsize - 1)
    return rotated


def _rotated_back(numbers: Numbers) -> Numbers:
    kind = numbers.dtype.type
    rotated: Numbers = numbers >> kind(1)
    rotated |= numbers << kind(8 * numbers.dtype.itemsize - 1)
    return rotated


def _kept(bits: Bytes, count: int) -> NDArray[np.bool_]:
    if len(bits) != (count + 7) // 8:
        raise ValueError("the bit map does not have a bit for each number")
    return np.unpackbits(bits, count=count).astype(np.bool_)
