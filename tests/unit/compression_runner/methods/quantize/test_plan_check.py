"""The plan check refuses graphs that cannot be quantized, by their headers."""

import contextlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from compression_runner.errors import BadRecipe
from compression_runner.formats.source.inspection import Source, inspect
from compression_runner.methods.registry import METHODS
from compressionjob.methods.registry import Quantize
from compressionjob.spec import Model
from tests.support.graphs import constant_graph, graph, random
from tests.support.plans import open_store


def check(parameters: dict[str, str], source: Source) -> None:
    method = Quantize.model_validate(parameters).chosen()
    METHODS["quantize", method.variant].check_source(method, source, "spec.pipeline[0].quantize")


def inspect_graph(model: onnx.ModelProto, place: Path) -> Source:
    onnx.save(model, place / "model.onnx")
    return inspect(open_store(place), Model(source=f"file://{place}", task="onnx"))


@pytest.mark.parametrize(("kind", "refused"), [(np.float16, True), (np.float32, False)])
@pytest.mark.parametrize("method", ["dynamic", "static"])
def test_float16_is_refused_by_methods_that_need_float32(
    kind: type[np.floating], refused: bool, method: str, tmp_path: Path
) -> None:
    source = inspect_graph(constant_graph(np.zeros((32, 32), kind)), tmp_path)
    expected = pytest.raises(BadRecipe, match="name the float32 model") if refused else contextlib.nullcontext()
    with expected:
        check({"method": method}, source)
    check({"method": "weight-only", "dtype": "int4"}, source)


def test_a_quantized_graph_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "y"])]
    source = inspect_graph(graph(nodes, {"x": ["batch", 4]}, ["y"], {}), tmp_path)
    for parameters in ({"method": "dynamic"}, {"method": "cast", "dtype": "float16"}):
        with pytest.raises(BadRecipe, match="quantized already"):
            check(parameters, source)
    check({"method": "cast", "dtype": "bfloat16"}, source)


CONVOLUTION_NODES = [
    helper.make_node("Shape", ["x"], ["lengths"]),
    helper.make_node("Gather", ["lengths", "first"], ["length"]),
    helper.make_node("Conv", ["x", "w"], ["y"]),
]


def test_few_bits_need_a_matrix(tmp_path: Path) -> None:
    weights = {"w": np.zeros((4, 4, 3), np.float32), "first": np.zeros(1, np.int64)}
    source = inspect_graph(graph(CONVOLUTION_NODES, {"x": ["batch", 4, 8]}, ["y"], weights), tmp_path)
    with pytest.raises(BadRecipe, match="no MatMul, Gemm or look-up"):
        check({"method": "weight-only", "dtype": "int4"}, source)
    check({"method": "dynamic"}, source)


def test_a_table_is_a_matrix(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gather", ["w", "x"], ["y"])]
    source = inspect_graph(
        graph(nodes, {"x": ["batch"]}, ["y"], {"w": random(4, 4)}, {"x": onnx.TensorProto.INT64}), tmp_path
    )
    check({"method": "weight-only", "dtype": "int4"}, source)


def test_a_graph_without_layers_has_nothing_to_quantize(tmp_path: Path) -> None:
    source = inspect_graph(graph([helper.make_node("Relu", ["x"], ["y"])], {"x": ["batch", 4]}, ["y"], {}), tmp_path)
    with pytest.raises(BadRecipe, match="no MatMul, Gemm, Conv, LSTM"):
        check({"method": "dynamic"}, source)
