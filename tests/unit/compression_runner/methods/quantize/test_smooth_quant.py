"""SmoothQuant keeps the outputs of the float graph, and removes outliers of inputs."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compression_runner.artifact import Artifact
from compression_runner.inference.onnx_session import open_session
from compression_runner.methods.quantize.static.preparing import prepare
from compression_runner.methods.quantize.static.range_calibration import IntermediateValues, calibration_feeds
from compression_runner.methods.quantize.static.smoothing import migration, smooth
from tests.support.stage_data import token_samples
from tests.support.stages import answers, quantize_static

WIDTH = 16


def normalized_product(place: Path, *, read_twice: bool) -> onnx.ModelProto:
    """Return LayerNormalization before a MatMul; with `read_twice`, the normalized values are also an output."""
    random = np.random.default_rng(3)
    scale = np.ones(WIDTH)
    scale[5] = 40.0
    arrays = {"scale": scale, "bias": random.normal(size=WIDTH), "weight": random.normal(size=(WIDTH, 4))}
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])]
    if read_twice:
        outputs.append(helper.make_tensor_value_info("normal", TensorProto.FLOAT, ["batch", WIDTH]))
    graph = helper.make_graph(
        [
            helper.make_node("LayerNormalization", ["x", "scale", "bias"], ["normal"], name="norm"),
            helper.make_node("MatMul", ["normal", "weight"], ["y"], name="product"),
        ],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])],
        outputs,
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, place)
    return prepare(place)


def run(model: onnx.ModelProto, place: Path, feed: dict[str, NDArray[Any]]) -> NDArray[Any]:
    onnx.save(model, place)
    return np.asarray(open_session(place).run(["y"], feed)[0])


def test_the_scale_balances_magnitudes_and_is_1_for_dead_channels() -> None:
    activations, weights = np.array([16.0, 1.0, 0.0, 4.0]), np.array([1.0, 4.0, 1.0, 0.0])
    np.testing.assert_allclose(migration(activations, weights, 0.5), [4.0, 0.5, 1.0, 1.0])
    np.testing.assert_allclose(migration(activations, weights, 0.75), [8.0, 4.0**-0.25, 1.0, 1.0], rtol=1e-6)
    # With alpha 0.5, activations and weights have the same range afterwards.
    scale = migration(activations, weights, 0.5)[:2]
    np.testing.assert_allclose(activations[:2] / scale, weights[:2] * scale)


@pytest.mark.parametrize("read_twice", [False, True])
def test_a_normalization_absorbs_the_scale_without_other_readers(tmp_path: Path, read_twice: bool) -> None:
    model = normalized_product(tmp_path / "source.onnx", read_twice=read_twice)
    feeds = [{"x": np.random.default_rng(1).normal(size=(8, WIDTH)).astype(np.float32)} for _ in range(3)]
    before = run(model, tmp_path / "before.onnx", feeds[0])
    assert smooth(model, feeds, 0.5) == (1, int(read_twice))
    assert [node.op_type for node in model.graph.node].count("Mul") == int(read_twice)
    np.testing.assert_allclose(run(model, tmp_path / "after.onnx", feeds[0]), before, rtol=1e-4, atol=1e-4)
    source = next(node for node in model.graph.node if node.op_type == "MatMul").input[0]
    magnitudes = np.abs(
        np.concatenate([values[source] for values in IntermediateValues(model, [source]).values(feeds)])
    ).max(axis=0)
    assert magnitudes.max() / np.median(magnitudes) < 10, "channel 5 was 40 times as large as the others"


def test_smoothing_keeps_the_outputs_of_a_transformer(exported: Artifact, tmp_path: Path) -> None:
    model = prepare(exported.model_file)
    feeds = calibration_feeds(model, token_samples(6))
    scaled, added = smooth(model, feeds, 0.8)
    # Query, key and value share an input: four inputs in each of two blocks.
    assert scaled == 8
    assert 0 < added <= 8
    onnx.save(model, tmp_path / "smooth.onnx")
    session = open_session(tmp_path / "smooth.onnx")
    for feed in feeds:
        np.testing.assert_allclose(session.run(None, feed)[0], answers(exported, feed), atol=2e-5)


def test_the_stage_applies_smooth_quant(exported: Artifact, tmp_path: Path) -> None:
    outcome = quantize_static(exported, token_samples(), tmp_path / "out", smoothQuant="0.8")
    assert outcome.details["smoothedInputs"] == 8
    assert outcome.details["calibrationCosine"] > 0.99
