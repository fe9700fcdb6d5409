"""A conversion counts once its result has answered like the graph that it was made of."""

from pathlib import Path
from typing import Any

import pytest

from compression_runner.errors import BadRecipe
from compression_runner.inference.openvino import OpenVinoPredictor
from compression_runner.inference.predictor import not_running
from compression_runner.methods.converting.conversion import convert
from tests.support.graphs import linear, random
from tests.support.stage_data import array_samples

DATA = array_samples(x=random(4, 6))


def test_the_result_answers_as_the_graph_does(tmp_path: Path) -> None:
    found = convert(linear(tmp_path / "model.onnx", random(6, 3)), DATA, tmp_path, "spec.output.format")
    assert found["comparedInputs"] == 4
    assert found["cosine"] == pytest.approx(1.0)
    assert (tmp_path / "model.xml").is_file()


def test_a_result_that_does_not_run_is_not_the_models_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_predictor: Any, feed: Any, _outputs: Any = None) -> Any:
        error = RuntimeError("no kernel for it")
        raise not_running("openvino", feed, error) from error

    monkeypatch.setattr(OpenVinoPredictor, "run", run)
    says = "spec.output.format.*the result does not run: no kernel for it; publish ONNX instead"
    with pytest.raises(BadRecipe, match=says):
        convert(linear(tmp_path / "model.onnx", random(6, 3)), DATA, tmp_path, "spec.output.format")
