"""Statistics of the input of a layer, without padding, and the patches of convolutions."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper

from compression_runner.calibration.feeding import feeds
from compression_runner.calibration.patches import patch_rows
from compression_runner.calibration.statistics import InputStatistics, token_rows
from compression_runner.dataset import SampleSet
from tests.support.graphs import graph, random


def test_statistics_do_not_depend_on_the_batches() -> None:
    rows = random(9001, 5)
    statistics = InputStatistics(5)
    for part in np.array_split(rows, 7):
        statistics.add(part)
    exact = rows.astype(np.float64)
    assert statistics.rows == 9001
    assert statistics.hessian is not None
    np.testing.assert_allclose(statistics.hessian, exact.T @ exact, rtol=1e-5, atol=1e-2)
    np.testing.assert_allclose(statistics.norms, np.linalg.norm(exact, axis=0), rtol=1e-6)
    np.testing.assert_allclose(statistics.means, np.abs(exact).mean(0), rtol=1e-6)
    np.testing.assert_array_equal(statistics.maximum, np.abs(rows).max(0))


def test_rows_that_are_not_finite_are_skipped() -> None:
    rows = random(4, 3)
    rows[1, 2], rows[3, 0] = np.inf, np.nan
    statistics = InputStatistics(3)
    statistics.add(rows)
    assert statistics.rows == 2
    np.testing.assert_allclose(statistics.squares, np.square(rows[[0, 2]]).sum(0), rtol=1e-6)


def test_masked_padding_is_excluded() -> None:
    values, mask = random(2, 3, 4), np.array([[1, 1, 0], [1, 0, 0]])
    kept = np.stack([values[0, 0], values[0, 1], values[1, 0]])
    np.testing.assert_array_equal(token_rows(values, mask), kept)
    np.testing.assert_array_equal(token_rows(values.reshape(6, 4), mask), kept)
    assert len(token_rows(values, None)) == 6
    pooled = values[:, 0]
    np.testing.assert_array_equal(token_rows(pooled, mask), pooled)


@pytest.mark.parametrize(
    ("shape", "kernel", "settings"),
    [
        ((2, 3, 7, 6), (3, 3), {"pads": [1, 1, 1, 1]}),
        ((2, 3, 9, 8), (3, 2), {"strides": [2, 3], "dilations": [2, 1], "pads": [2, 0, 1, 1]}),
        ((2, 3, 9, 8), (3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        ((2, 3, 9, 8), (3, 2), {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
        ((2, 3, 11), (4,), {"strides": [3], "auto_pad": "VALID"}),
    ],
)
def test_patches_times_weights_equal_the_convolution(
    shape: tuple[int, ...], kernel: tuple[int, ...], settings: dict[str, Any]
) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=list(kernel), **settings)
    values, weight = random(*shape, seed=1), random(5, 3, *kernel, seed=2)
    model = graph([node], {"x": list(shape)}, ["y"], {"w": weight})
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = np.moveaxis(np.asarray(session.run(None, {"x": values})[0]), 1, -1).reshape(-1, 5)
    rows = np.concatenate(list(patch_rows(values, node, kernel)))
    np.testing.assert_allclose(rows @ weight.reshape(5, -1).T, expected, rtol=1e-4, atol=1e-4)


def test_a_language_model_starts_with_an_empty_cache() -> None:
    inputs: dict[str, list[int | str]] = {
        "tokens": ["batch", "sequence"],
        "past_key_values.0.key": ["batch", 2, "past", 8],
    }
    node = helper.make_node("Identity", ["tokens"], ["y"])
    model = graph([node], inputs, ["y"], {})
    samples = [{"tokens": np.zeros(length, np.float32)} for length in (3, 5, 4)]
    (batch,) = feeds(model, SampleSet(samples, "sha256:0", padding={"tokens": 0}))
    assert {name: array.shape for name, array in batch.items()} == {
        "tokens": (3, 5),
        "past_key_values.0.key": (3, 2, 0, 8),
    }
