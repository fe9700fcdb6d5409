"""Errors of quantization libraries become refusals with their cause; internal errors do not."""

from pathlib import Path

import numpy as np
import pytest

from compression_runner.artifact import Artifact, seal
from compression_runner.calibration.inverse import NotInvertible, inverse_factor
from compression_runner.errors import BadRecipe
from compression_runner.methods.quantize.dynamic import quantization
from compression_runner.stages.method import StageContext
from compressionjob.methods.registry import Quantize
from tests.support import tiny_models
from tests.support.stage_data import array_samples, calibration
from tests.support.stages import apply_method

SAMPLES = calibration(array_samples(x=np.random.default_rng(4).normal(size=(40, 64)).astype(np.float32)))


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return seal(tiny_models.perceptron(tmp_path_factory.mktemp("models") / "graph"), "onnx", "onnx")


def quantize(graph: Artifact, into: Path, **parameters: object) -> None:
    into.mkdir()
    context = StageContext(into, "spec.pipeline[0].quantize", data=SAMPLES)
    apply_method("quantize", graph, Quantize.model_validate(parameters), context)


def fail(*_arguments: object, **_named: object) -> None:
    raise KeyError("scale")


CALLS = {
    "dynamic": "compression_runner.methods.quantize.dynamic.quantization.quantize_dynamic",
    "static": "compression_runner.methods.quantize.static.building.quantize_static",
    "cast": "compression_runner.methods.quantize.cast.half_precision.convert_float_to_float16",
}


@pytest.mark.parametrize("method", CALLS)
def test_an_error_of_a_quantizer_is_a_refusal(
    method: str, graph: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CALLS[method], fail)
    parameters = {"method": method, "dtype": "float16" if method == "cast" else "int8"}
    with pytest.raises(BadRecipe, match=r"cannot quantize this graph: KeyError 'scale'; use (method|dtype)") as refused:
        quantize(graph, tmp_path / "out", **parameters)
    assert refused.value.reason == "QuantizeFailed"


def test_an_internal_error_is_not_a_refusal(graph: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantization, "nodes", fail)
    with pytest.raises(KeyError, match="scale"):
        quantize(graph, tmp_path / "out", method="dynamic")


def test_a_hessian_without_an_inverse_is_refused(
    graph: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NotInvertible):
        inverse_factor(np.full((4, 4), np.nan), 0.01)

    def refuse(*_arguments: object, **_named: object) -> None:
        raise NotInvertible

    monkeypatch.setattr("compression_runner.methods.quantize.weight_only.gptq.inverse_factor", refuse)
    with pytest.raises(BadRecipe, match=r"not finite, or too similar; use algorithm rtn or awq"):
        quantize(graph, tmp_path / "out", method="weight-only", algorithm="gptq", dtype="int4")
