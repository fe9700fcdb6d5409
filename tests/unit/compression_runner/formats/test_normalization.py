"""Normal form of ONNX graphs of different exporters."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from compression_runner.errors import BadRecipe
from compression_runner.formats.normalization import load, normalize, raise_opset, require_valid
from tests.support.graphs import conditional, graph, language_model, looped, random

X = {"x": random(3, 16, seed=2)}


def answer(model: onnx.ModelProto, feed: dict[str, NDArray[Any]] | None = None) -> NDArray[Any]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feed or X)[0])


def checked_normal_form(model: onnx.ModelProto, **options: Any) -> onnx.ModelProto:
    """Return the normal form, after checking that it is valid and has equal outputs."""
    expected = answer(model)
    normal = normalize(model, **options)
    onnx.checker.check_model(normal, full_check=True)
    np.testing.assert_allclose(answer(normal), expected, rtol=1e-5, atol=1e-6)
    return normal


def weights(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    return {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer if len(tensor.dims) > 1}


def product(*between: onnx.NodeProto, table: NDArray[Any], last: str = "transposed", uses: int = 1) -> onnx.ModelProto:
    """Return a graph that multiplies x by the result of `between` on `table`, `uses` times in a row."""
    nodes = [*between]
    for place in range(uses):
        source = f"h{place}" if place else "x"
        nodes.append(helper.make_node("MatMul", [source, last], [f"h{place + 1}" if place + 1 < uses else "y"]))
    return graph(nodes, {"x": ["batch", 16]}, ["y"], {"table": table})


def constant(name: str, array: NDArray[Any]) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array))


def test_constants_become_initializers_with_their_names() -> None:
    model = graph(
        [constant("w", random(16, 16)), helper.make_node("MatMul", ["x", "w"], ["y"])], {"x": ["b", 16]}, ["y"], {}
    )
    assert weights(checked_normal_form(model)) == {"w": (16, 16)}


def test_a_graph_in_normal_form_does_not_change() -> None:
    model = normalize(language_model())
    before = model.SerializeToString()
    assert normalize(model) is model
    assert model.SerializeToString() == before


@pytest.mark.parametrize("build", [conditional, looped])
def test_weights_of_bodies_become_initializers_of_the_graph(build: Any) -> None:
    model = build(16)
    assert not [shape for shape in weights(model).values() if shape == (16, 16)]
    assert [*weights(checked_normal_form(model)).values()].count((16, 16)) == 2


def test_a_shared_weight_is_transposed_once_and_keeps_its_name() -> None:
    turns = [helper.make_node("Transpose", ["table"], [f"t{place}"], perm=[1, 0]) for place in range(3)]
    products = [
        helper.make_node("MatMul", [f"h{place}", f"t{place}"], [f"h{place + 1}"], name=f"m{place}")
        for place in range(3)
    ]
    table = random(16, 16) / 4
    model = graph([*turns, *products], {"h0": ["b", 16]}, ["h3"], {"table": table})
    expected = answer(model, {"h0": X["x"]})
    normal = normalize(model)
    assert [node.op_type for node in normal.graph.node] == ["MatMul"] * 3
    assert weights(normal) == {"table": (16, 16)}
    np.testing.assert_array_equal(numpy_helper.to_array(normal.graph.initializer[0]), table.T)
    np.testing.assert_allclose(answer(normal, {"h0": X["x"]}), expected, rtol=1e-5)


def test_folding_that_takes_more_bytes_must_be_requested() -> None:
    tied = language_model()
    assert normalize(tied) is tied
    assert weights(normalize(language_model(), folding="all"))["turned"] == (16, 40)

    half = random(16, 32).astype(np.float16)
    stored = product(helper.make_node("Cast", ["table"], ["transposed"], to=TensorProto.FLOAT), table=half)
    assert checked_normal_form(stored).graph.initializer[0].data_type == TensorProto.FLOAT16
    folded = checked_normal_form(stored, folding="floats")
    assert (folded.graph.initializer[0].name, folded.graph.initializer[0].data_type) == ("table", TensorProto.FLOAT)


def test_a_weight_norm_is_one_weight() -> None:
    nodes = [
        helper.make_node("Mul", ["table", "table"], ["squares"]),
        helper.make_node("Sqrt", ["squares"], ["sizes"]),
        helper.make_node("Div", ["table", "sizes"], ["signs"]),
        helper.make_node("Identity", ["signs"], ["transposed"]),
    ]
    normal = checked_normal_form(product(*nodes, table=random(16, 32)))
    assert [node.op_type for node in normal.graph.node] == ["MatMul"]
    assert weights(normal) == {"table": (16, 32)}


@pytest.mark.parametrize("dims", [(512,), (8, 2, 32)])
def test_a_weight_behind_a_small_constant_is_folded(dims: tuple[int, ...]) -> None:
    nodes = [constant("dims", np.array([16, 32])), helper.make_node("Reshape", ["table", "dims"], ["transposed"])]
    normal = checked_normal_form(product(*nodes, table=random(*dims)))
    assert [node.op_type for node in normal.graph.node] == ["MatMul"]
    assert weights(normal) == {"table": (16, 32)}


def test_weights_with_different_constants_stay_separate() -> None:
    nodes = []
    for place, dims in enumerate([(16, 16), (16, 16), (-1, 16)]):
        nodes.append(constant(f"d{place}", np.array(dims)))
        nodes.append(helper.make_node("Reshape", ["table", f"d{place}"], [f"t{place}"]))
    products = [helper.make_node("MatMul", [f"h{place}", f"t{place}"], [f"h{place + 1}"]) for place in range(3)]
    model = graph([*nodes, *products], {"h0": ["b", 16]}, ["h3"], {"table": random(256) / 4})
    assert sorted(weights(normalize(model, "all")).values()) == [(16, 16), (16, 16)]


def test_quantized_weights_stay_integers() -> None:
    codes = np.arange(512, dtype=np.int8).reshape(16, 32)
    dequantize = helper.make_node("DequantizeLinear", ["table", "step"], ["transposed"])
    model = product(dequantize, table=codes)
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(0.01, np.float32), "step"))
    assert normalize(model, folding="all") is model


def test_initializers_are_removed_from_inputs(tmp_path: Path) -> None:
    model = product(table=random(16, 16), last="table")
    model.ir_version = 3
    model.graph.input.append(helper.make_tensor_value_info("table", TensorProto.FLOAT, [16, 16]))
    normal = checked_normal_form(model)
    assert [value.name for value in normal.graph.input] == ["x"]
    assert normal.ir_version == 4


def test_sparse_weights_become_dense() -> None:
    dense = np.zeros((16, 16), np.float32)
    dense[3, 5] = dense[7, 2] = 0.5
    places = np.array([[3, 5], [7, 2]], np.int64)
    values = numpy_helper.from_array(np.full(2, 0.5, np.float32), "table")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(places, "at"), [16, 16])
    model = product(table=random(1, 1), last="table")
    del model.graph.initializer[:]
    model.graph.sparse_initializer.append(sparse)
    np.testing.assert_allclose(answer(normalize(model)), X["x"] @ dense, rtol=1e-6)


def test_functions_are_inlined() -> None:
    opsets = [helper.make_opsetid("", 20)]
    body = [constant("w", random(16, 16)), helper.make_node("MatMul", ["a", "w"], ["c"])]
    function = helper.make_function("own", "Layer", ["a"], ["c"], body, opsets)
    model = graph([helper.make_node("Layer", ["x"], ["y"], domain="own")], {"x": ["b", 16]}, ["y"], {})
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))
    assert [*weights(checked_normal_form(model)).values()] == [(16, 16)]


def test_nodes_are_sorted() -> None:
    model = language_model()
    shuffled = [*model.graph.node][::-1]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in shuffled]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    onnx.checker.check_model(normalize(model), full_check=True)


@pytest.mark.parametrize("build", [conditional, looped])
def test_the_opset_is_raised_in_bodies_too(build: Any) -> None:
    model = normalize(build(16, opset=11))
    raised = raise_opset(model, 13, "spec")
    assert raised.opset_import[0].version == 13
    assert {tensor.name for tensor in raised.graph.initializer} == {tensor.name for tensor in model.graph.initializer}
    onnx.checker.check_model(raised, full_check=True)
    np.testing.assert_allclose(answer(raised), answer(model), rtol=1e-6)
    assert raise_opset(raised, 11, "spec") is raised


def test_an_opset_that_cannot_be_raised_is_reported() -> None:
    model = graph([helper.make_node("Upsample", ["x"], ["y"], scales=[1.0, 2.0])], {"x": [3, 16]}, ["y"], {})
    model.opset_import[0].version = 7
    model.graph.node[0].op_type = "Unheard"
    with pytest.raises(BadRecipe, match=r"opset 7.*needs opset 13.*export the model again with opset 13 or newer"):
        raise_opset(model, 13, "spec.pipeline[0].quantize")


@pytest.mark.parametrize("where", ["value_info", "output"])
def test_wrong_shapes_are_dropped(where: str, tmp_path: Path) -> None:
    model = product(helper.make_node("Relu", ["table"], ["transposed"]), table=random(16, 16))
    values = getattr(model.graph, where)
    del values[:]
    name = "transposed" if where == "value_info" else "y"
    values.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [5, 7]))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(BadRecipe, match=r"fails onnx\.checker"):
        require_valid(tmp_path / "model.onnx", "spec.pipeline[0].prune")
    onnx.save(load(tmp_path / "model.onnx"), tmp_path / "normal.onnx")
    require_valid(tmp_path / "normal.onnx", "spec.pipeline[0].prune")
