"""Conversion to OpenVINO compares the outputs of the IR with those of the graph."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from compression_runner.errors import BadRecipe
from compression_runner.inference.openvino import OpenVinoPredictor
from compression_runner.inference.predictor import ModelOrigin
from compression_runner.methods.converting.conversion import convert
from compression_runner.stages.method import StageContext
from compressionjob.methods.registry import Quantize
from tests.support.graphs import graph, language_model, linear, random
from tests.support.stage_data import array_samples
from tests.support.stages import apply_method, sealed_graph

DATA = array_samples(x=random(4, 6))


def test_the_ir_has_the_outputs_of_the_graph(tmp_path: Path) -> None:
    details = convert(linear(tmp_path / "model.onnx", random(6, 3)), DATA, tmp_path, "spec.output.format")
    assert details["comparedInputs"] == 4
    assert details["cosine"] == pytest.approx(1.0)
    assert (tmp_path / "model.xml").is_file()


def test_an_ir_that_does_not_run_is_a_failed_conversion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_predictor: Any, feed: Any, _outputs: Any = None) -> Any:
        error = RuntimeError("no kernel for it")
        raise ModelOrigin("spec.output.format", compressed=True).not_running("openvino", feed, error) from error

    monkeypatch.setattr(OpenVinoPredictor, "run", run)
    message = "spec.output.format.*the converted model does not run: no kernel for it; publish ONNX instead"
    with pytest.raises(BadRecipe, match=message):
        convert(linear(tmp_path / "model.onnx", random(6, 3)), DATA, tmp_path, "spec.output.format")


@pytest.mark.parametrize("width", [40, 64, 96])
@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_a_quantized_table_is_converted_with_its_tied_head(dtype: str, width: int, tmp_path: Path) -> None:
    """With one or three groups of 32, OpenVINO slices the zero points of 4 bits."""
    source = sealed_graph(language_model(vocabulary=400, width=width), tmp_path / "source")
    for folder in ("quantized", "converted"):
        (tmp_path / folder).mkdir()
    parameters = Quantize.model_validate({"method": "weight-only", "dtype": dtype, "groupSize": 32})
    quantized = apply_method("quantize", source, parameters, StageContext(tmp_path / "quantized", "f")).artifact
    assert "Reshape" in {node.op_type for node in onnx.load(quantized.model_file).graph.node}, "the table is tied"
    tokens = array_samples(tokens=np.random.default_rng(4).integers(0, 400, (8, 8)))
    assert convert(quantized.model_file, tokens, tmp_path / "converted", "spec.output.format")["cosine"] > 0.999
    weights = (tmp_path / "converted" / "model.bin").stat().st_size
    assert weights < 1.1 * quantized.model_file.stat().st_size, "the codes of the table are stored once"


def test_an_operator_that_openvino_does_not_convert_is_named(tmp_path: Path) -> None:
    node = helper.make_node("Unknown", ["x"], ["y"], domain="com.microsoft")
    model = graph([node], {"x": ["batch", 6]}, ["y"], {})
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(BadRecipe, match=r"OpenVINO cannot read the graph: it does not convert com\.microsoft\.Unknown"):
        convert(tmp_path / "model.onnx", DATA, tmp_path, "spec.output.format")
