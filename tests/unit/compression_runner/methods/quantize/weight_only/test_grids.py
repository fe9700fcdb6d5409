"""Grids, codes and packed bytes."""

import numpy as np
import pytest

from compression_runner.methods.quantize.weight_only.grid import Layout, decode, encode, fit_grid
from compression_runner.methods.quantize.weight_only.packing import pack
from tests.support.graphs import random


def test_asymmetric_grids_span_the_range_and_zero() -> None:
    weights = np.array([[-1.0, 0.0, 2.0, 0.5], [3.0, 6.0, 1.0, 2.0]], np.float32)
    grid = fit_grid(weights, Layout(2, 4, symmetric=False))
    np.testing.assert_allclose(grid.scales, [[1.0], [2.0]])
    np.testing.assert_array_equal(grid.zeros, [[1], [0]])
    np.testing.assert_array_equal(encode(weights, grid), [[0, 1, 3, 1], [2, 3, 0, 1]])


def test_symmetric_grids_give_the_extreme_weight_the_outermost_code() -> None:
    weights = np.array([[-4.0, 1.0], [8.0, -1.0]], np.float32)
    grid = fit_grid(weights, Layout(4, 2, symmetric=True))
    codes = encode(weights, grid)
    np.testing.assert_array_equal(codes[:, 0], [0, 0])
    np.testing.assert_allclose(decode(codes, grid), weights)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("symmetric", [False, True])
def test_weights_on_the_grid_are_restored_exactly(bits: int, symmetric: bool) -> None:
    layout = Layout(bits, 16, symmetric)
    codes = np.random.default_rng(3).integers(0, layout.top + 1, (6, 40)).astype(np.uint8)
    # Every group has the outermost codes, so that its range is that of the grid.
    codes[:, ::8], codes[:, 1::8] = 0, layout.top
    zero = layout.middle if symmetric else 1
    weights = (codes.astype(np.float32) - zero) * 0.25
    again = fit_grid(weights, layout)
    np.testing.assert_allclose(decode(encode(weights, again), again), weights, atol=1e-6)


def test_rounding_errors_are_at_most_half_a_step_and_zeros_stay_zero() -> None:
    weights = random(5, 70)
    weights[:, 32:64] = 0
    grid = fit_grid(weights, Layout(4, 32, symmetric=False))
    result = decode(encode(weights, grid), grid)
    scales, _ = grid.expanded(70)
    # Half a step for the weight, and half a step for the zero point.
    assert (np.abs(result - weights) <= scales * 1.001).all()
    assert not result[:, 32:64].any()


def test_clipping_the_range_lowers_the_weighted_error() -> None:
    weights, importance = random(8, 64), np.square(random(64, seed=2)) + 0.1
    weights[:, 5] *= 6
    importance[5] = 1e-3
    layout = Layout(3, 64, symmetric=False)
    grids = fit_grid(weights, layout), fit_grid(weights, layout, importance)
    plain, cut = (
        float((np.square(decode(encode(weights, grid), grid) - weights) * importance).sum()) for grid in grids
    )
    assert cut < 0.5 * plain


@pytest.mark.parametrize(
    ("bits", "group", "stored"), [(2, 32, 2), (2, 16, 4), (2, 256, 4), (3, 32, 4), (4, 16, 4), (8, 16, 8)]
)
def test_codes_are_packed_with_the_first_in_the_lowest_bits(bits: int, group: int, stored: int) -> None:
    inputs = group + 4
    weights = random(3, inputs)
    grid = fit_grid(weights, Layout(bits, group, symmetric=False))
    codes = encode(weights, grid)
    packed = pack(codes, grid)
    assert packed.bits == stored
    assert packed.data.shape == (3, 2, group * stored // 8)
    assert packed.padded_inputs == 2 * group
    per_byte = 8 // stored
    unpacked = [(packed.data >> np.uint8(stored * place)) & (2**stored - 1) for place in range(per_byte)]
    rows = np.stack(unpacked, -1).reshape(3, -1)
    np.testing.assert_array_equal(rows[:, :inputs], codes)
    # The padding of the last group is the code of zero.
    np.testing.assert_array_equal(rows[:, inputs:], np.repeat(grid.zeros[:, 1:], group - 4, axis=1))
    assert packed.zeros is not None
    assert packed.zeros.shape == (3, -(-2 * stored // 8))
