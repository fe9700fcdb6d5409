"""Splitting and joining of numbers, for every type and all flags."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from compression_runner.methods.pack.transforms import (
    CONTEXTS,
    GRID,
    ROTATE,
    ROWS,
    SPARSE,
    fits,
    grid_classes,
    grid_contexts,
    join,
    split,
    stream_count,
)


@given(st.sampled_from([1, 2, 4, 8]), st.sampled_from([0, ROTATE, SPARSE, ROTATE | SPARSE]), st.data())
def test_any_numbers_are_restored(width: int, flags: int, data: st.DataObject) -> None:
    numbers = data.draw(arrays.arrays(f"<u{width}", st.integers(0, 70), elements={"max_value": 300 % 256}))
    content = numbers.tobytes()
    streams = split(content, width, flags, 0)
    assert len(streams) == stream_count(width, flags)
    assert join(streams, len(content), width, flags, 0) == content


@given(st.sampled_from([1, 2, 4]), st.sampled_from([ROWS, ROWS | ROTATE, GRID]), st.integers(1, 20), st.integers(1, 9))
def test_rows_are_restored_in_order(width: int, flags: int, rows: int, columns: int) -> None:
    width = 1 if flags == GRID else width
    content = np.random.default_rng(rows * columns).bytes(rows * columns * width)
    row = columns * width
    assert fits(width, flags, row, len(content))
    streams = split(content, width, flags, row)
    assert len(streams) == stream_count(width, flags)
    assert join(streams, len(content), width, flags, row) == content


def test_planes_of_a_known_float() -> None:
    """-1.5 is BFC00000: rotated by one bit 7F800001, whose highest byte is the exponent, 127."""
    content = np.array([-1.5], "<f4").tobytes()
    assert [int(stream[0]) for stream in split(content, 4, 0, 0)] == [0x00, 0x00, 0xC0, 0xBF]
    assert [int(stream[0]) for stream in split(content, 4, ROTATE, 0)] == [0x01, 0x00, 0x80, 0x7F]


def test_the_bit_map_is_zero_for_plus_zero_only() -> None:
    content = np.array([0.0, -0.0, np.nan, 0.0, 1.0], "<f4").tobytes()
    mask, *planes = split(content, 4, SPARSE, 0)
    assert mask.tolist() == [0b01101000]
    assert {len(plane) for plane in planes} == {3}
    assert join([mask, *planes], len(content), 4, SPARSE, 0) == content


def test_grid_classes_separate_narrow_and_wide_rows_and_columns() -> None:
    random = np.random.default_rng(3)
    scale = np.outer(np.repeat([2.0, 20.0], 100), np.repeat([0.5, 1.0], 50))
    numbers = np.clip(random.normal(0, scale), -127, 127).astype(np.int8).view(np.uint8)
    rows, columns = grid_classes(numbers)
    assert rows[:100].max() < rows[100:].min()
    assert columns[:50].max() <= columns[50:].min()
    contexts = grid_contexts(rows.view(np.uint8), columns.view(np.uint8)).reshape(numbers.shape)
    assert contexts.max() < CONTEXTS
    spreads = [float(np.abs(numbers.view(np.int8)[contexts == context]).mean()) for context in np.unique(contexts)]
    assert len(spreads) >= 2
    assert spreads == sorted(spreads)


@pytest.mark.parametrize(
    ("width", "flags", "row", "size"),
    [(3, 0, 0, 12), (4, 0, 0, 13), (1, 16, 0, 4), (2, GRID, 4, 8), (1, GRID | ROWS, 2, 8), (4, ROWS | SPARSE, 4, 8),
     (4, ROWS, 0, 8), (4, ROWS, 6, 12), (1, GRID, 3, 8)],
)  # fmt: skip
def test_invalid_settings_do_not_fit(width: int, flags: int, row: int, size: int) -> None:
    assert not fits(width, flags, row, size)


def test_streams_that_do_not_fit_each_other_are_refused() -> None:
    content = np.arange(16, dtype="<f4").tobytes()
    for flags, row in ((0, 0), (SPARSE, 0), (ROWS, 16)):
        streams = split(content, 4, flags, row)
        with pytest.raises(ValueError, match=r"length|bit|class|size|reshape|broadcast|assign"):
            join([*streams[:-1], streams[-1][:-1]], len(content), 4, flags, row)
        with pytest.raises(ValueError, match=r"length|bit|class|size|reshape|broadcast|assign"):
            join([streams[0][:-1], *streams[1:]], len(content), 4, flags, row)
