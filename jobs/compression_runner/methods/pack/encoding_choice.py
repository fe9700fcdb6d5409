"""Choose the encoding of a span: by codec and type, or for `auto` by a trial on a sample of its bytes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from compression_runner.methods.pack import coders, rans, transforms
from compression_runner.methods.pack.coders import Coder
from compression_runner.methods.pack.container import CHUNK, Encoding, block
from compression_runner.methods.pack.spans import Span

Sample = Callable[[int, int], bytes]
"""A function of offset and count that returns bytes of the file."""
Choose = Callable[[Span, Sample], Encoding]

FASTEST: Final = Coder(coders.ZSTD, coders.LITERALS)
SEARCHING: Final = Coder(coders.ZSTD, 3)
THOROUGH: Final = Coder(coders.ZSTD, 19)
"""For the short text between tensors."""
BY_FREQUENCY: Final = Coder(coders.RANS)

SLICES: Final = 4
MIN_SAMPLE: Final = 16 << 10
MAX_SAMPLE: Final = 64 << 10
RANS_GAIN: Final = 0.998
"""Maximum relative size with rANS, which runs at a tenth of zstd's speed and must save a little."""
MIN_ZEROS: Final = 0.2
"""Minimum fraction of zeros to try a bit map, which takes a 32nd of float32."""
MIN_ROWS: Final = 64
MIN_ROW: Final = 128
"""Minimum rows of a chunk, and minimum numbers of a row, to classify rows: the classes take space."""
MAX_BYTE_SAMPLE: Final = 1 << 20
"""The sample of a tensor of single bytes, whose gains are small and need a large sample."""


def by_planes(level: int) -> Choose:
    """Use byte planes for numbers of several bytes, then zstd at a level; 0 disables the search for repeats."""
    return lambda span, _sample: Encoding(Coder(coders.ZSTD, level), span.width, _rotation(span))


def by_huffman(span: Span, _sample: Sample) -> Encoding:
    """Use byte planes, then Huffman."""
    return Encoding(Coder(coders.DEFLATE), span.width, _rotation(span))


def by_zipnn(span: Span, _sample: Sample) -> Encoding:
    """Use zipnn for the types that it supports, and zstd at level 3 for others."""
    dtype = coders.ZIPNN_TYPES.get(span.dtype)
    return Encoding(Coder(coders.ZIPNN, dtype=dtype) if dtype else SEARCHING)


def by_trial(span: Span, sample: Sample) -> Encoding:
    """Use the encoding with the smallest result on a sample, among those that suit the type."""
    if span.dtype and span.width == 1:
        return _of_bytes(span, sample(span.start, min(span.length, MAX_BYTE_SAMPLE)))
    if not span.dtype and span.length <= MAX_BYTE_SAMPLE:
        return Encoding(THOROUGH)
    some = _some(span, sample)
    encodings = [Encoding(SEARCHING), Encoding(FASTEST, span.width, _rotation(span))]
    numbers = np.frombuffer(some, f"<u{span.width}")
    if span.width > 1 and np.count_nonzero(numbers) <= (1 - MIN_ZEROS) * len(numbers):
        encodings.append(Encoding(FASTEST, span.width, _rotation(span) | transforms.SPARSE))
    best = min(encodings, key=lambda encoding: len(block(encoding, some, 0)))
    # A few rows do not show how similar rows are, but sorting them is cheap.
    if best == Encoding(FASTEST, span.width, transforms.ROTATE) and _by_rows(span):
        return replace(best, flags=best.flags | transforms.ROWS)
    return best


def _of_bytes(span: Span, some: bytes) -> Encoding:
    """Return the encoding of a tensor of single bytes, with few repeats and informative frequencies."""
    row = span.row if _by_rows(span) else 0
    if row:
        some = some[: len(some) // row * row]
    sizes: dict[Encoding, float] = {
        encoding: len(block(encoding, some, 0)) for encoding in (Encoding(FASTEST), Encoding(SEARCHING))
    }
    numbers = np.frombuffer(some, np.uint8)
    sizes[Encoding(BY_FREQUENCY)] = rans.estimate(numbers) / RANS_GAIN
    if row:
        classes = transforms.split(some, 1, transforms.GRID, row)[:2]
        class_bytes = sum(len(FASTEST.encode(stream)[1]) for stream in classes)
        in_grid = rans.estimate(numbers, transforms.grid_contexts(*classes)) + class_bytes
        sizes[Encoding(FASTEST, 1, transforms.GRID)] = in_grid / RANS_GAIN
    return min(sizes, key=sizes.__getitem__)


def chunk_size(span: Span, encoding: Encoding) -> int:
    """Return the plain bytes of a block: as many whole rows, or numbers, as fit."""
    unit = span.row if encoding.flags & (transforms.ROWS | transforms.GRID) else span.width
    return CHUNK // unit * unit


def _rotation(span: Span) -> int:
    return transforms.ROTATE if span.floating and span.width > 1 else 0


def _by_rows(span: Span) -> bool:
    """Return whether the rows are long enough, and enough of them in a chunk, to classify them."""
    many = span.length >= span.row * MIN_ROWS and span.row * MIN_ROWS <= CHUNK
    return many and span.row >= MIN_ROW * span.width


def _some(span: Span, sample: Sample) -> bytes:
    """Return a few evenly spaced slices of the span; a small span whole."""
    size = min(max(span.length // 32, MIN_SAMPLE), MAX_SAMPLE)
    if span.length <= size:
        return sample(span.start, span.length)
    each = size // SLICES // 8 * 8
    step = (span.length - each) // (SLICES - 1) // 8 * 8
    return b"".join(sample(span.start + index * step, each) for index in range(SLICES))
