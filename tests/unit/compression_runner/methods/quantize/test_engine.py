"""Where an image lacks an engine, or a model is none for it, the job is told so."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from compression_runner.errors import BadRecipe
from compression_runner.methods.quantize.engine.environment import run
from compression_runner.pipeline.places import of_trial
from compression_runner.pipeline.preflight import preflight
from compression_runner.storage import Stores
from compressionjob.pod import ENGINES_VARIABLE
from compressionjob.spec import CompressionJobSpec
from tests.support import tiny_models
from tests.support.engines import stand_in
from tests.support.plans import plan_for

STAGE: dict[str, Any] = {"quantize": {"method": "weight-only", "dtype": "int4", "backend": "llm-compressor"}}
FLOAT8: dict[str, Any] = {
    "quantize": {"method": "static", "dtype": "float8", "granularity": "tensor", "backend": "modelopt"}
}


def test_an_image_without_the_engine_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a weight moves."""
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    tiny_models.llama(tmp_path / "llama")
    tiny_models.text_data(tmp_path / "texts.parquet")
    spec = CompressionJobSpec.model_validate(
        {
            "model": {"source": f"file://{tmp_path}/llama", "task": "text-generation"},
            "data": {"evaluation": {"source": f"file://{tmp_path}/texts.parquet"}},
            "pipeline": [STAGE],
            "output": {"destination": "file:///out"},
        }
    )
    with pytest.raises(BadRecipe, match="image has no llm-compressor") as missing:
        preflight(spec, of_trial(spec, Stores(), tmp_path / "work"))
    assert "CompressionRuntime" in missing.value.remedy
    assert missing.value.field == "spec.pipeline[0].quantize.backend"


@pytest.mark.parametrize("stage", [STAGE, FLOAT8])
def test_a_model_that_is_no_language_model_is_refused(tmp_path: Path, stage: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="it quantizes language models"):
        plan_for(tmp_path, "text-embedding", stage, format="auto")


def test_an_engine_gets_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    for name in ("HUB_HF_TOKEN", "HF_TOKEN", "MODEL_AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "secret")
    stand_in(tmp_path, 'env > env.txt; echo "{}" > "$4"')
    assert run("llm-compressor", {}, tmp_path, "spec.pipeline[0].quantize") == ({}, {})
    seen = (tmp_path / "env.txt").read_text()
    assert "secret" not in seen
    assert "HF_HUB_OFFLINE=1" in seen
    assert "PATH=" in seen


@pytest.mark.parametrize("script", ["kill -9 $$", 'echo "torch.OutOfMemoryError: CUDA out of memory"; exit 1'])
def test_want_of_memory_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    stand_in(tmp_path, script)
    with pytest.raises(BadRecipe, match="more memory") as refused:
        run("llm-compressor", {}, tmp_path, "spec.pipeline[0].quantize")
    assert refused.value.reason == "OutOfMemory"


@pytest.mark.parametrize(("stage", "gives"), [(STAGE, "compressed-tensors"), (FLOAT8, "modelopt")])
def test_the_result_is_published_as_it_is_and_measured_as_a_graph(
    tmp_path: Path, stage: dict[str, Any], gives: str
) -> None:
    tiny_models.llama(tmp_path / "llama")
    plan = plan_for(tmp_path / "llama", "text-generation", stage, {"pack": {}}, format="auto")
    assert [(step.method.name, step.format) for step in plan.steps] == [
        ("quantize", gives),
        ("pack", gives),
    ]
    assert plan.measured is not None
    assert plan.measured.format == "onnx"
    with pytest.raises(ValidationError, match="gives a Transformers folder for vLLM"):
        plan_for(tmp_path / "llama", "text-generation", STAGE, format="onnx")
