"""Where an image lacks an engine, or a model is none for it, the job is told so."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from compression_runner.artifact import seal
from compression_runner.errors import BadRecipe
from compression_runner.methods.method import StageContext
from compression_runner.methods.quantize.engine.environment import ENGINES
from compression_runner.methods.registry import METHODS
from compressionjob.methods.quantize import Quantize
from tests import tiny_models
from tests.unit.runner.test_openvino_results import plan_for

CHOSEN = Quantize.model_validate({"method": "weight-only", "dtype": "int4", "backend": "llm-compressor"})


def test_an_image_without_the_engine_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENGINES, str(tmp_path))
    model = seal(tiny_models.llama(tmp_path / "llama"), "transformers", "text-generation")
    with pytest.raises(BadRecipe, match="image has no llm-compressor") as missing:
        METHODS["quantize"].run(model, CHOSEN, StageContext(tmp_path / "out", "spec.pipeline[0].quantize"))
    assert "CompressionRuntime" in missing.value.remedy
    assert missing.value.field == "spec.pipeline[0].quantize.backend"


def test_a_model_that_is_no_language_model_is_refused(tmp_path: Path) -> None:
    model = seal(tiny_models.bert(tmp_path / "bert"), "transformers", "text-embedding")
    with pytest.raises(BadRecipe, match="it quantizes language models"):
        METHODS["quantize"].run(model, CHOSEN, StageContext(tmp_path / "out", "spec.pipeline[0].quantize"))


def test_the_result_is_published_as_it_is_and_measured_as_a_graph(tmp_path: Path) -> None:
    tiny_models.llama(tmp_path / "llama")
    stage = {"quantize": {"method": "weight-only", "dtype": "int4", "backend": "llm-compressor"}}
    plan = plan_for(tmp_path / "llama", "text-generation", "auto", stage, {"pack": {}})
    assert [(step.method.name, step.format) for step in plan.steps] == [
        ("quantize", "compressed-tensors"),
        ("pack", "compressed-tensors"),
    ]
    assert plan.measured is not None
    assert plan.measured.format == "onnx"
    with pytest.raises(ValidationError, match="gives a Transformers folder for vLLM"):
        plan_for(tmp_path / "llama", "text-generation", "onnx", stage)
