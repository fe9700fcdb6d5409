"""What headers show that quantization cannot take."""

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
from tests.support.graphs import constant_graph, graph
from tests.support.plans import open_store


def check(parameters: dict[str, str], source: Source) -> None:
    chosen = Quantize.model_validate(parameters).chosen()
    METHODS["quantize", chosen.variant].check_source(chosen, source, "spec.pipeline[0].quantize")


def look(model: onnx.ModelProto, place: Path) -> Source:
    onnx.save(model, place / "model.onnx")
    return inspect(open_store(place), Model(source=f"file://{place}", task="onnx"))


@pytest.mark.parametrize(("kind", "refused"), [(np.float16, True), (np.float32, False)])
@pytest.mark.parametrize("method", ["dynamic", "static"])
def test_float16_is_refused_by_headers_where_float32_is_needed(
    kind: type[np.floating], refused: bool, method: str, tmp_path: Path
) -> None:
    source = look(constant_graph(np.zeros((32, 32), kind)), tmp_path)
    expected = pytest.raises(BadRecipe, match="name the float32 model") if refused else contextlib.nullcontext()
    with expected:
        check({"method": method}, source)
    check({"method": "weight-only", "dtype": "int4"}, source)


def test_a_quantized_graph_is_refused_by_headers(tmp_path: Path) -> None:
    nodes = [helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "y"])]
    source = look(graph(nodes, {"x": ["batch", 4]}, ["y"], {}), tmp_path)
    with pytest.raises(BadRecipe, match="quantized already"):
        check({"method": "dynamic"}, source)
