"""GPTQ and AWQ on least-squares problems with known solutions."""

import numpy as np
import pytest

from compression_runner.calibration.inverse import inverse_factor
from compression_runner.calibration.statistics import InputStatistics
from compression_runner.methods.quantize.weight_only import awq, gptq
from compression_runner.methods.quantize.weight_only.grid import Layout, decode, encode, fit_grid
from tests.support.graphs import random

INPUTS, OUTPUTS = 64, 24
LAYOUT = Layout(4, 32, symmetric=False)


def correlated(rows: int = 600, outliers: int = 0) -> np.ndarray:
    """Return correlated inputs like hidden states, with some channels much larger than the others."""
    mixing = random(INPUTS, INPUTS, seed=21) / 8 + np.eye(INPUTS, dtype=np.float32) * 0.2
    inputs = random(rows, INPUTS, seed=22) @ mixing
    inputs[:, :outliers] *= 20
    return inputs.astype(np.float32)


def statistics_of(inputs: np.ndarray) -> InputStatistics:
    statistics = InputStatistics(inputs.shape[1])
    statistics.add(inputs)
    return statistics


def loss(inputs: np.ndarray, weights: np.ndarray, result: np.ndarray) -> float:
    return float(np.square(inputs @ (weights - result).T).sum())


def rounded(weights: np.ndarray, layout: Layout = LAYOUT) -> np.ndarray:
    grid = fit_grid(weights, layout)
    return decode(encode(weights, grid), grid)


def test_the_factor_is_that_of_the_inverse_hessian() -> None:
    hessian = statistics_of(correlated()).hessian
    assert hessian is not None
    factor = inverse_factor(hessian, 0.01).astype(np.float64)
    damped = hessian + 0.01 * np.diag(hessian).mean() * np.eye(INPUTS)
    np.testing.assert_allclose(factor.T @ factor @ damped, np.eye(INPUTS), atol=1e-3)
    assert np.allclose(factor, np.triu(factor))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_gptq_has_less_error_than_rounding_to_nearest(bits: int) -> None:
    inputs, weights, layout = correlated(), random(OUTPUTS, INPUTS), Layout(bits, 32, symmetric=False)
    statistics = statistics_of(inputs)
    assert statistics.hessian is not None
    codes, grid = gptq.quantize(weights, statistics.hessian, layout)
    assert codes.max() <= layout.top
    nearest = loss(inputs, weights, rounded(weights, layout))
    assert loss(inputs, weights, decode(codes, grid)) < 0.7 * nearest


def test_gptq_rounds_to_nearest_for_uncorrelated_inputs() -> None:
    weights = random(OUTPUTS, INPUTS)
    hessian = np.diag(np.linspace(1, 2, INPUTS))
    codes, grid = gptq.quantize(weights, hessian, LAYOUT)
    np.testing.assert_array_equal(codes, encode(weights, grid))


def test_gptq_finds_the_best_rounding_of_two_equal_inputs() -> None:
    # x0 = x1: only the sum of the weights counts. 0.4 + 0.4 = 0.8 is nearest to 1 + 0, where rounding gives 0 + 0.
    weights = np.array([[0.4, 0.4, 3.0, 0.0]], np.float32)
    inputs = random(200, 3, seed=9)[:, [0, 0, 1, 2]]
    statistics = statistics_of(inputs)
    assert statistics.hessian is not None
    layout = Layout(2, 4, symmetric=False)
    codes, grid = gptq.quantize(weights, statistics.hessian, layout)
    result = decode(codes, grid)
    assert sorted(result[0, :2]) == pytest.approx([0.0, float(grid.scales[0, 0])])
    assert loss(inputs, weights, result) < 0.3 * loss(inputs, weights, rounded(weights, layout))


def test_inactive_inputs_are_rounded_to_nearest() -> None:
    inputs, weights = correlated(), random(OUTPUTS, INPUTS)
    inputs[:, 7] = 0
    statistics = statistics_of(inputs)
    assert statistics.hessian is not None
    codes, grid = gptq.quantize(weights, statistics.hessian, LAYOUT)
    np.testing.assert_array_equal(codes[:, 7], encode(weights, grid)[:, 7])


def test_awq_scales_up_active_channels_and_lowers_the_error() -> None:
    inputs, weights = correlated(outliers=4), random(OUTPUTS, INPUTS)
    statistics = statistics_of(inputs)
    scale = awq.find_scale([(weights, LAYOUT)], statistics)
    assert scale is not None
    assert statistics.hessian is not None
    assert scale[:4].min() > scale[4:].max()
    codes, grid = awq.quantize(weights, statistics.hessian, scale, LAYOUT)
    result = decode(codes, grid) / scale
    assert loss(inputs, weights, result) < 0.5 * loss(inputs, weights, rounded(weights))
    np.testing.assert_allclose(
        awq.output_error(weights, result, statistics.hessian.astype(np.float32)),
        loss(inputs, weights, result),
        rtol=1e-3,
    )


def test_awq_scales_nothing_for_weights_on_the_grid() -> None:
    weights = rounded(random(OUTPUTS, INPUTS))
    assert loss(correlated(), weights, rounded(weights)) == pytest.approx(0, abs=1e-3)
    assert awq.find_scale([(weights, LAYOUT)], statistics_of(correlated())) is None
