"""Sequential calibration: segments compute the same values as the whole graph, and later segments see new weights."""

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from compression_runner.calibration.layers import find_layers, group_layers, set_weights, weight_matrix
from compression_runner.calibration.sequential import SequentialCalibration
from tests.support.graphs import graph, language_model, random


def run(model: onnx.ModelProto, feed: dict[str, np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
    """Return values of the whole graph by name, intermediate values too."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    there = {value.name for value in model.graph.output}
    exposed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in there)
    session = onnxruntime.InferenceSession(exposed.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(value) for value in session.run(list(names), feed)]


def feeds(count: int = 3) -> list[dict[str, np.ndarray]]:
    generator = np.random.default_rng(5)
    return [{"tokens": generator.integers(0, 40, (2, 4 + index))} for index in range(count)]


def test_inputs_of_groups_equal_those_of_the_whole_graph() -> None:
    model = language_model()
    calibration = SequentialCalibration(model, feeds(), keep_outputs=True)
    for group, inputs in calibration.groups(group_layers(find_layers(model))):
        for feed, values in zip(feeds(), inputs, strict=True):
            np.testing.assert_allclose(
                np.asarray(values, np.float64), run(model, feed, [group.source])[0], rtol=1e-5, atol=1e-6
            )
    for feed, outputs in zip(feeds(), calibration.outputs(), strict=True):
        np.testing.assert_allclose(
            np.asarray(outputs["logits"], np.float64), run(model, feed, ["logits"])[0], rtol=1e-5, atol=1e-5
        )


def test_later_groups_see_changed_weights() -> None:
    model = language_model()
    for group, inputs in SequentialCalibration(model, feeds(1)).groups(group_layers(find_layers(model))):
        np.testing.assert_allclose(
            np.asarray(inputs[0], np.float64), run(model, feeds(1)[0], [group.source])[0], rtol=1e-4, atol=1e-5
        )
        for layer in group.layers:
            if layer.name != "head":
                set_weights(model, layer, weight_matrix(model, layer) * 0.5)


def test_values_that_no_later_segment_reads_are_dropped() -> None:
    model = language_model()
    calibration = SequentialCalibration(model, feeds(1))
    alive = [sorted(calibration._values[0]) for _ in calibration.groups(group_layers(find_layers(model)))]
    assert alive == [["embedded", "scaled"], ["embedded", "inner"], ["states"]]


def test_subgraphs_read_values_of_earlier_segments() -> None:
    node = helper.make_node
    branches = {
        branch: helper.make_graph(
            [node(operator, ["first", "first"], [f"{branch}_out"])],
            branch,
            [],
            [helper.make_tensor_value_info(f"{branch}_out", TensorProto.FLOAT, None)],
        )
        for branch, operator in (("then_branch", "Add"), ("else_branch", "Mul"))
    }
    nodes = [
        node("MatMul", ["x", "a"], ["first"], name="one"),
        node("MatMul", ["first", "b"], ["second"], name="two"),
        node("If", ["flag"], ["chosen"], **branches),
        node("Add", ["second", "chosen"], ["y"]),
    ]
    weights = {"a": random(4, 4, seed=1), "b": random(4, 4, seed=2)}
    types = {"flag": TensorProto.BOOL}
    model = graph(nodes, {"x": ["batch", 4], "flag": []}, ["y"], weights, types)
    feed = {"x": random(3, 4), "flag": np.array(False)}
    calibration = SequentialCalibration(model, [feed], keep_outputs=True)
    assert [group.source for group, _ in calibration.groups(group_layers(find_layers(model)))] == ["x", "first"]
    np.testing.assert_allclose(
        np.asarray(calibration.outputs()[0]["y"], np.float64), run(model, feed, ["y"])[0], rtol=1e-5, atol=1e-5
    )
