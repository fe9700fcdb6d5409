"""Batch axes located by running a model, and answers split along them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from compression_runner.calibration.feeding import feeds
from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.answers.answers import answers
from compression_runner.evaluation.answers.batch_axes import batch_of_inputs, locate
from compression_runner.evaluation.speed.system_under_test import system_under_test
from compression_runner.inference.onnx import OnnxPredictor
from compression_runner.methods.quantize.static.range_calibration import calibration_feeds
from compressionjob.spec import Benchmark
from tests.support.graphs import graph, random
from tests.support.plans import onnx_spec
from tests.support.stage_data import array_samples

Shape = Sequence[int | str | None]
node = helper.make_node


def opened(
    place: Path, nodes: list[onnx.NodeProto], inputs: dict[str, Shape], output: str = "y", **weights: np.ndarray
) -> OnnxPredictor:
    path = place / "model.onnx"
    onnx.save(graph(nodes, inputs, [output], weights), path)
    return OnnxPredictor(path, 1)


def recurrent(place: Path, shape: Shape) -> OnnxPredictor:
    """Return a GRU over the first dimension of (time, batch, 3)."""
    nodes = [node("GRU", ["x", "w", "r"], ["", "h"], hidden_size=4), node("Squeeze", ["h", "zero"], ["y"])]
    weights = {"w": random(1, 12, 3), "r": random(1, 12, 4, seed=8), "zero": np.array([0])}
    return opened(place, nodes, {"x": shape}, **weights)


def time_major(place: Path, shape: Shape = (None, 4, 3)) -> OnnxPredictor:
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Transpose", ["h"], ["y"], perm=[1, 0, 2])]
    return opened(place, nodes, {"x": shape}, w=random(3, 5))


@pytest.mark.parametrize("batch", [1, 4])
def test_an_output_with_time_steps_first_is_split_by_samples(batch: int, tmp_path: Path) -> None:
    rows = random(9, 4, 3)
    with time_major(tmp_path) as predictor:
        data = array_samples(x=rows)
        axes = locate(predictor, data, "onnx", batch)
        axes.apply(predictor)
        answered = answers(predictor, data, "onnx", batch)
    assert axes.outputs == {"y": 1 if batch > 1 else axes.outputs["y"]}
    assert np.allclose(answered, (rows @ random(3, 5)).reshape(9, -1), atol=1e-5)


def test_time_steps_are_never_taken_for_samples(tmp_path: Path) -> None:
    rows = random(8, 6, 3)
    with recurrent(tmp_path, (None, None, 3)) as predictor:
        data = array_samples(x=rows)
        axes = locate(predictor, data, "onnx", 2)
        assert axes.inputs == {"x": 1}
        axes.apply(predictor)
        answered = answers(predictor, data, "onnx", 4)
        alone = [predictor.run({"x": row[:, np.newaxis]})[0][0] for row in rows]
    assert np.allclose(answered, alone, atol=1e-5)


def test_the_batch_axis_of_an_unnamed_state_is_located(tmp_path: Path) -> None:
    nodes = [node("Add", ["state", "x"], ["sum"]), node("ReduceMean", ["sum", "zero"], ["y"], keepdims=0)]
    with opened(tmp_path, nodes, {"x": (None, 3), "state": (None, None, 3)}, zero=np.array([0])) as predictor:
        axes = locate(predictor, array_samples(x=random(6, 3), state=random(6, 2, 3)), "onnx", 1)
    assert axes.inputs == {"x": 0, "state": 1}


def test_rows_of_one_sample_stay_together(tmp_path: Path) -> None:
    rows = random(6, 4, 3)
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Reshape", ["h", "shape"], ["y"])]
    weights = {"w": random(3, 5), "shape": np.array([-1, 5])}
    with opened(tmp_path, nodes, {"x": ("batch", 4, 3)}, **weights) as predictor:
        data = array_samples(x=rows)
        locate(predictor, data, "onnx", 3).apply(predictor)
        answered = answers(predictor, data, "onnx", 3)
    assert np.allclose(answered, (rows @ random(3, 5)).reshape(6, -1), atol=1e-5)


def test_a_constant_output_is_repeated_for_every_sample(tmp_path: Path) -> None:
    nodes = [node("Identity", ["w"], ["y"]), node("Relu", ["x"], ["h"])]
    with opened(tmp_path, nodes, {"x": ("batch", 3)}, w=random(2, 3)) as predictor:
        data = array_samples(x=random(4, 3))
        locate(predictor, data, "onnx", 2).apply(predictor)
        assert answers(predictor, data, "onnx", 2).shape == (4, 6)


REFUSED: list[tuple[list[onnx.NodeProto], str]] = [
    ([node("ReduceMean", ["x"], ["y"], keepdims=0)], "output y has no dimension that counts the samples"),
    ([node("Transpose", ["x"], ["t"]), node("MatMul", ["x", "t"], ["y"])], r"output y has no .*shape is \(2, 2\)"),
    ([node("Softmax", ["x"], ["y"], axis=0)], "output y depends on the others of its batch"),
    ([node("NonZero", ["x"], ["z"]), node("Cast", ["z"], ["y"], to=1)], "shape of output y depends on the data"),
    ([node("Reshape", ["x", "one"], ["y"])], "the model does not run on 1 of its samples in a batch of 2"),
]


@pytest.mark.parametrize(("nodes", "message"), REFUSED)
def test_a_tensor_without_a_batch_axis_is_refused_by_name(
    nodes: list[onnx.NodeProto], message: str, tmp_path: Path
) -> None:
    rows = np.maximum(random(6, 3), 0.0)
    with (
        opened(tmp_path, nodes, {"x": ("batch", 3)}, one=np.array([1, 3])) as predictor,
        pytest.raises(InvalidInput, match=message) as error,
    ):
        locate(predictor, array_samples(x=rows), "onnx", 2)
    assert error.value.field == "spec.model.source"


def test_a_model_with_batch_size_1_gets_one_sample_at_a_time(tmp_path: Path) -> None:
    nodes = [node("Reshape", ["x", "one"], ["y"])]
    with opened(tmp_path, nodes, {"x": (None, 3)}, one=np.array([1, 3])) as predictor:
        data = array_samples(x=random(6, 3))
        locate(predictor, data, "onnx", 1).apply(predictor)
        assert predictor.inputs[0].shape == (1, 3)
        system_under_test(predictor, data, Benchmark()).answer_batch([0])


def test_samples_with_scalar_inputs_are_answered_one_at_a_time(tmp_path: Path) -> None:
    nodes = [node("Mul", ["x", "rate"], ["y"])]
    data = array_samples(x=random(6, 3), rate=random(6))
    with opened(tmp_path, nodes, {"x": ("batch", 3), "rate": ()}) as predictor:
        with pytest.raises(InvalidInput, match=r"rate has no batch axis .*set spec\.benchmark\.batchSize to 1"):
            locate(predictor, data, "onnx", 2)
        locate(predictor, data, "onnx", 1).apply(predictor)
    assert predictor.inputs[0].shape == (1, 3)


def test_a_model_with_batch_size_1_is_calibrated_one_sample_at_a_time(tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Reshape", ["h", "one"], ["y"])]
    with opened(tmp_path, nodes, {"x": ("batch", 3)}, w=random(3, 5), one=np.array([1, 5])):
        pass
    data: SampleSet = array_samples(x=random(6, 3))
    axes = batch_of_inputs(onnx_spec(), tmp_path / "model.onnx", data)
    placed = replace(data, axes=axes.inputs, single=axes.single)
    model = onnx.load(tmp_path / "model.onnx")
    given = [*calibration_feeds(model, placed), *feeds(model, placed)]
    assert [feed["x"].shape for feed in given] == [(1, 3)] * 12
    with OnnxPredictor(tmp_path / "model.onnx", 1) as predictor:
        assert locate(predictor, placed, "onnx", 1).single


def test_the_batch_axes_are_known_before_any_stage(tmp_path: Path) -> None:
    with recurrent(tmp_path, (None, None, 3)):
        pass
    data: SampleSet = array_samples(x=random(4, 6, 3))
    assert batch_of_inputs(onnx_spec(), tmp_path / "model.onnx", data).inputs == {"x": 1}
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(InvalidInput, match=r"broken\.onnx.*onnxruntime cannot load the graph"):
        batch_of_inputs(onnx_spec(), tmp_path / "broken.onnx", data)


def test_batches_are_joined_along_the_axis_of_each_input(tmp_path: Path) -> None:
    nodes = [node("Add", ["state", "x"], ["sum"]), node("Mul", ["sum", "rate"], ["y"])]
    inputs: dict[str, Any] = {"x": ("batch", 3), "state": (2, "batch", 3), "rate": ()}
    with opened(tmp_path, nodes, inputs) as predictor:
        samples = [
            dict(one) | {"rate": np.float32(2)} for one in array_samples(x=random(6, 3), state=random(6, 2, 3)).samples
        ]
        system = system_under_test(predictor, SampleSet(samples, "sha256:0"), Benchmark())
        system.answer_batch([0, 1, 2])
        system.answer(0)
