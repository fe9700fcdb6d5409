"""Detection of layers in a graph, the orientation of their weights, and groups that share an input."""

import numpy as np
import pytest
from onnx import helper

from compression_runner.calibration.layers import find_layers, group_layers, set_weights, weight_matrix
from tests.support.graphs import graph, language_model, random


def test_layers_are_grouped_by_their_input() -> None:
    model = language_model()
    layers = find_layers(model)
    assert [(layer.name, layer.outputs, layer.inputs) for layer in layers] == [
        ("gate", 24, 16),
        ("up", 24, 16),
        ("down", 16, 24),
        ("head", 40, 16),
    ]
    assert [[layer.name for layer in group.layers] for group in group_layers(layers)] == [
        ["gate", "up"],
        ["down"],
        ["head"],
    ]
    head = layers[-1]
    assert (head.weight, head.by_output, head.through) == ("table", True, 8)


@pytest.mark.parametrize("transposed", [False, True])
def test_weights_are_read_and_written_as_outputs_by_inputs(transposed: bool) -> None:
    weight = random(6, 4) if transposed else random(4, 6)
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=int(transposed))
    model = graph([node], {"x": [None, 4]}, ["y"], {"w": weight})
    (layer,) = find_layers(model)
    matrix = weight_matrix(model, layer)
    np.testing.assert_array_equal(matrix, weight if transposed else weight.T)
    set_weights(model, layer, matrix * 2)
    np.testing.assert_array_equal(weight_matrix(model, layer), matrix * 2)
    assert tuple(model.graph.initializer[0].dims) == weight.shape


def test_products_without_constant_float_weights_are_no_layers() -> None:
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "x"], ["a"]),
        node("Gemm", ["x", "w"], ["b"], transA=1),
        node("MatMul", ["w", "x"], ["c"]),
        node("MatMul", ["x", "integers"], ["d"]),
    ]
    weights = {"w": random(4, 4), "integers": np.ones((4, 4), np.float64)}
    assert find_layers(graph(nodes[:3], {"x": [4, 4]}, ["a", "b", "c"], weights)) == []


def test_a_convolution_is_a_layer_in_a_group_of_its_own() -> None:
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["a"], kernel_shape=[3, 3]),
        node("Conv", ["x", "v"], ["b"], kernel_shape=[1, 1]),
        node("Conv", ["x", "d"], ["c"], kernel_shape=[3, 3], group=2),
    ]
    weights = {"w": random(5, 2, 3, 3), "v": random(5, 2, 1, 1), "d": random(4, 1, 3, 3)}
    layers = find_layers(graph(nodes, {"x": [1, 2, 8, 8]}, ["a", "b", "c"], weights))
    assert [(layer.outputs, layer.inputs) for layer in layers] == [(5, 18), (5, 2)]
    assert [len(group.layers) for group in group_layers(layers)] == [1, 1]
