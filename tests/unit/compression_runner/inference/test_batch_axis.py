"""The batch axis by names, sizes and convention, and feeds along it."""

from collections.abc import Sequence

import numpy as np
import pytest

from compression_runner.inference.batch_axis import fixed_batch, joined, locate_batch, part_of
from compression_runner.inference.predictor import TensorInfo

Dims = Sequence[int | str | None]


def tensor(name: str, *dims: int | str | None) -> TensorInfo:
    shape = tuple(size if isinstance(size, int) else None for size in dims)
    symbols = tuple(size if isinstance(size, str) else "" for size in dims)
    return TensorInfo(name, np.dtype(np.float32), shape, symbols=symbols)


KNOWN: list[tuple[list[Dims], list[int | None], int | None]] = [
    ([["batch", 64], []], [0, None], None),
    ([["batch", 16], [2, "batch", 32]], [0, 1], None),
    ([["N", 3, "H", "W"], [1]], [0, None], None),
    ([["time", "batch_size", 80]], [1], None),
    ([["batch_size", "N"], ["batch_size"]], [0, 0], None),
    ([["N", "batch"], ["B", 4]], [1, 0], None),
    ([["time", None, 80]], [1], None),
    ([["seq", 1, 80]], [1], 1),
    ([[None, "seq"], [2, None, 32]], [0, 1], None),
    ([["unk__1", 8], ["unk__2", 4]], [0, 0], None),
    ([["s0", 16], [2, "s0", 32], [5]], [0, 1, None], None),
    ([[1, 3, 16, 16], [1]], [0, 0], 1),
    ([[1, "seq"], [1, None]], [0, 0], 1),
    ([[1, 16], [2, 1, 32], []], [0, 1, None], 1),
    ([[4, 3], [10, 4]], [0, None], 4),
    ([[2, 4, 32], [4, 16]], [1, 0], 4),
    ([[]], [None], None),
]


@pytest.mark.parametrize(("shapes", "axes", "fixed"), KNOWN)
def test_the_batch_axis_of_each_input(shapes: list[Dims], axes: list[int | None], fixed: int | None) -> None:
    located, _ = locate_batch([tensor(f"x{place}", *dims) for place, dims in enumerate(shapes)])
    assert [info.axis for info in located] == axes
    assert fixed_batch(located) == fixed


def test_outputs_share_the_name_of_the_inputs_batch() -> None:
    _, outputs = locate_batch(
        [tensor("x", "batch", 20, 64)], [tensor("logits", 20, "batch", 37), tensor("loss"), tensor("other", None, 2)]
    )
    assert [info.axis for info in outputs] == [1, None, 0]
    assert outputs[0].sample_shape == (20, 37)


def test_feeds_are_joined_and_split_along_their_axes() -> None:
    inputs, _ = locate_batch([tensor("x", "batch", 3), tensor("state", 2, "batch", 4), tensor("rate")])
    one, other = (
        {"x": np.full((1, 3), value), "state": np.full((2, 1, 4), value), "rate": np.array(7.0)} for value in (1.0, 2.0)
    )
    both = joined([one, other], inputs)
    assert {name: array.shape for name, array in both.items()} == {"x": (2, 3), "state": (2, 2, 4), "rate": ()}
    second = part_of(both, inputs, 1, 2)
    assert all(np.array_equal(second[name], other[name]) for name in other)
