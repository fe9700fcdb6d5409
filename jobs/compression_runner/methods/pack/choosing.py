"""Which recipe a span is packed by: told by codec and type, or for `auto` found by a try on some of its bytes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from compression_runner.methods.pack import coders, rans, transforms
from compression_runner.methods.pack.coders import Coder
from compression_runner.methods.pack.container import CHUNK, Recipe, block
from compression_runner.methods.pack.spans import Span

Sample = Callable[[int, int], bytes]
"""Bytes of the file: from where, how many."""
Choose = Callable[[Span, Sample], Recipe]

FASTEST: Final = Coder(coders.ZSTD, coders.LITERALS)
SEARCHING: Final = Coder(coders.ZSTD, 3)
THOROUGH: Final = Coder(coders.ZSTD, 19)
"""For the text between tensors, of which there is little."""
BY_FREQUENCY: Final = Coder(coders.RANS)

SLICES: Final = 4
LEAST_SAMPLE: Final = 16 << 10
MOST_SAMPLE: Final = 64 << 10
WORTH_RANS: Final = 0.998
"""rANS runs at a tenth of zstd's speed: it has to save a little."""
WORTH_SPARSE: Final = 0.2
"""Share of zeros from which a bit map, which takes a 32nd of float32, is tried."""
SORTED_ROWS: Final = 64
LEAST_ROW: Final = 128
"""Rows are told apart where there are so many of them in a chunk, each of so many numbers: their classes take room."""
MOST_OF_BYTES: Final = 1 << 20
"""The sample of a tensor of single bytes, whose gains are small and need many to be seen."""


def by_planes(level: int) -> Choose:
    """Byte planes of every number of more than one byte, then zstd at a level, 0 for no search for repeats."""
    return lambda span, _sample: Recipe(Coder(coders.ZSTD, level), span.width, _rotation(span))


def by_huffman(span: Span, _sample: Sample) -> Recipe:
    """Byte planes, then Huffman."""
    return Recipe(Coder(coders.HUFFMAN), span.width, _rotation(span))


def by_zipnn(span: Span, _sample: Sample) -> Recipe:
    """zipnn where it knows the type, zstd at level 3 for everything else."""
    dtype = coders.ZIPNN_TYPES.get(span.dtype)
    return Recipe(Coder(coders.ZIPNN, dtype=dtype) if dtype else SEARCHING)


def by_trial(span: Span, sample: Sample) -> Recipe:
    """The recipe that makes some of the span's bytes smallest, of those that its type suggests."""
    if span.dtype and span.width == 1:
        return _of_bytes(span, sample(span.start, min(span.length, MOST_OF_BYTES)))
    if not span.dtype and span.length <= MOST_OF_BYTES:
        return Recipe(THOROUGH)
    some = _some(span, sample)
    recipes = [Recipe(SEARCHING), Recipe(FASTEST, span.width, _rotation(span))]
    numbers = np.frombuffer(some, f"<u{span.width}")
    if span.width > 1 and np.count_nonzero(numbers) <= (1 - WORTH_SPARSE) * len(numbers):
        recipes.append(Recipe(FASTEST, span.width, _rotation(span) | transforms.SPARSE))
    best = min(recipes, key=lambda recipe: len(block(recipe, some, 0)))
    # How alike rows are is not seen in a few of them, but sorting them is cheap.
    if best == Recipe(FASTEST, span.width, transforms.ROTATE) and _by_rows(span):
        return replace(best, flags=best.flags | transforms.ROWS)
    return best


def _of_bytes(span: Span, some: bytes) -> Recipe:
    """The recipe of a tensor of single bytes, whose repeats are few and whose frequencies count."""
    row = span.row if _by_rows(span) else 0
    if row:
        some = some[: len(some) // row * row]
    sizes: dict[Recipe, float] = {
        recipe: len(block(recipe, some, 0)) for recipe in (Recipe(FASTEST), Recipe(SEARCHING))
    }
    numbers = np.frombuffer(some, np.uint8)
    sizes[Recipe(BY_FREQUENCY)] = rans.estimate(numbers) / WORTH_RANS
    if row:
        classes = transforms.split(some, 1, transforms.GRID, row)[:2]
        told = sum(len(FASTEST.encode(stream)[1]) for stream in classes)
        in_grid = rans.estimate(numbers, transforms.grid_contexts(*classes)) + told
        sizes[Recipe(FASTEST, 1, transforms.GRID)] = in_grid / WORTH_RANS
    return min(sizes, key=sizes.__getitem__)


def chunk_size(span: Span, recipe: Recipe) -> int:
    """Plain bytes of a block: as many whole rows, or numbers, as fit."""
    unit = span.row if recipe.flags & (transforms.ROWS | transforms.GRID) else span.width
    return CHUNK // unit * unit


def _rotation(span: Span) -> int:
    return transforms.ROTATE if span.floating and span.width > 1 else 0


def _by_rows(span: Span) -> bool:
    """Whether the tensor has rows long enough, and enough of them in a chunk, to tell them apart."""
    many = span.length >= span.row * SORTED_ROWS and span.row * SORTED_ROWS <= CHUNK
    return many and span.row >= LEAST_ROW * span.width


def _some(span: Span, sample: Sample) -> bytes:
    """A few slices of the span, spread evenly: all of a small one."""
    size = min(max(span.length // 32, LEAST_SAMPLE), MOST_SAMPLE)
    if span.length <= size:
        return sample(span.start, span.length)
    each = size // SLICES // 8 * 8
    step = (span.length - each) // (SLICES - 1) // 8 * 8
    return b"".join(sample(span.start + index * step, each) for index in range(SLICES))
