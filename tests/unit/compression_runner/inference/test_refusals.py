"""Graphs that an engine cannot load, or cannot run on the data, are refused with the cause and without a traceback."""

from pathlib import Path

import numpy as np
import pytest

from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.inference.opening import open_predictor
from compression_runner.inference.predictor import Engine, ModelOrigin
from tests.support import tiny_models


@pytest.mark.parametrize(("engine", "name", "width"), [("onnxruntime", "x", 9), ("openvino", "z", 8)])
def test_a_graph_that_does_not_run_on_the_data_is_refused(
    engine: Engine, name: str, width: int, tmp_path: Path
) -> None:
    graph = tiny_models.perceptron(tmp_path / "model", width=8) / "model.onnx"
    with open_predictor(graph, 1, engine) as predictor:
        assert predictor.run({"x": np.zeros((2, 8), np.float32)})[0].shape == (2, 4)
        message = rf"{name} float32 \(2, {width}\).*does not run in {engine} on this data: \S+"
        with pytest.raises(InvalidInput, match=message):
            predictor.run({name: np.zeros((2, width), np.float32)})


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_graph_that_does_not_load_is_refused(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(InvalidInput, match=rf"spec\.model\.source: 'model\.onnx': {engine} cannot load the graph: \S+"):
        open_predictor(tmp_path / "model.onnx", 1, engine)


COMPRESSED = ModelOrigin("spec.pipeline[1].quantize", compressed=True)


@pytest.mark.parametrize(("engine", "name", "width"), [("onnxruntime", "x", 9), ("openvino", "z", 8)])
def test_a_compressed_model_that_does_not_run_is_the_fault_of_its_stages(
    engine: Engine, name: str, width: int, tmp_path: Path
) -> None:
    graph = tiny_models.perceptron(tmp_path / "model", width=8) / "model.onnx"
    with open_predictor(graph, 1, engine, COMPRESSED) as predictor:
        message = rf"quantize: .*the compressed model does not run in {engine} on data on which the baseline runs: \S+"
        with pytest.raises(BadRecipe, match=message) as refused:
            predictor.run({name: np.zeros((2, width), np.float32)})
    assert refused.value.reason == "NotRunning"


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_compressed_model_that_does_not_load_is_the_fault_of_its_stages(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(BadRecipe, match=rf"quantize: 'model\.onnx': {engine} cannot load the compressed model: \S+"):
        open_predictor(tmp_path / "model.onnx", 1, engine, COMPRESSED)
