"""Engines: missing engines, unsuitable models, credentials, and errors of an engine."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from compression_runner.artifact import seal
from compression_runner.errors import BadRecipe
from compression_runner.methods.quantize.engine.environment import run
from compression_runner.pipeline.checkpoints import CHECKPOINTS, Checkpoints
from compression_runner.pipeline.planner import make_plan
from compression_runner.pipeline.preflight import preflight
from compression_runner.pipeline.run_locations import of_trial
from compression_runner.storage import Stores
from compression_runner.storage.directory import DirectoryStore
from compressionjob.pod_interface import ENGINES_VARIABLE
from compressionjob.spec import CompressionJobSpec
from tests.support import tiny_models
from tests.support.engines import stand_in
from tests.support.plans import checkpoint_source, onnx_spec, plan_for

STAGE: dict[str, Any] = {"quantize": {"method": "weight-only", "dtype": "int4", "backend": "llm-compressor"}}
FLOAT8: dict[str, Any] = {
    "quantize": {"method": "static", "dtype": "float8", "granularity": "tensor", "backend": "modelopt"}
}


def llama_spec(place: Path) -> CompressionJobSpec:
    """Return the spec of a job with the stage, whose model and data are in a folder."""
    tiny_models.llama(place / "llama")
    tiny_models.text_data(place / "texts.parquet")
    return CompressionJobSpec.model_validate(
        {
            "model": {"source": f"file://{place}/llama", "task": "text-generation"},
            "data": {"evaluation": {"source": f"file://{place}/texts.parquet"}},
            "pipeline": [STAGE],
            "output": {"destination": "file:///out"},
        }
    )


def test_preflight_refuses_an_image_without_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Preflight refuses the job before any download of weights."""
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    spec = llama_spec(tmp_path)
    with pytest.raises(BadRecipe, match="image has no llm-compressor") as missing:
        preflight(spec, of_trial(spec, Stores(), tmp_path / "work"))
    assert "CompressionRuntime" in missing.value.remedy
    assert missing.value.field == "spec.pipeline[0].quantize.backend"


def test_a_pod_that_measures_needs_no_engine_for_a_step_that_another_pod_has_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remote(fingerprint: str) -> DirectoryStore:
        place = tmp_path / "store" / fingerprint
        return DirectoryStore(f"file://{place}", place, "spec.output.checkpoints")

    spec = llama_spec(tmp_path)
    stand_in(tmp_path / "compressing", "exit 1")
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path / "compressing"))
    compressing = replace(of_trial(spec, Stores(), tmp_path / "first"), remote=remote)
    fingerprint = preflight(spec, compressing).plan.fingerprint
    checkpoints = Checkpoints(compressing.workdir / CHECKPOINTS, remote)
    made = checkpoints.begin(fingerprint)
    (made / "model.safetensors").write_bytes(b"weights")
    sealed = seal(made, "compressed-tensors", "text-generation").with_provenance({"stages": []})

    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path / "measuring"))
    measuring = replace(of_trial(spec, Stores(), tmp_path / "second"), remote=remote)
    with pytest.raises(BadRecipe, match="image has no llm-compressor"):
        preflight(spec, measuring)
    checkpoints.commit(fingerprint, sealed)
    assert preflight(spec, measuring).plan.fingerprint == fingerprint


@pytest.mark.parametrize("stage", [STAGE, FLOAT8])
def test_models_other_than_language_models_are_refused(tmp_path: Path, stage: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="it quantizes language models"):
        plan_for(tmp_path, "text-embedding", stage, format="auto")


def test_an_engine_gets_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    for name in ("HUB_HF_TOKEN", "HF_TOKEN", "MODEL_AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "secret")
    stand_in(tmp_path, 'env > env.txt; echo "{}" > "$4"')
    assert run("llm-compressor", {}, tmp_path, "spec.pipeline[0].quantize") == ({}, {})
    environment = (tmp_path / "env.txt").read_text()
    assert "secret" not in environment
    assert "HF_HUB_OFFLINE=1" in environment
    assert "PATH=" in environment


@pytest.mark.parametrize("script", ["kill -9 $$", 'echo "torch.OutOfMemoryError: CUDA out of memory"; exit 1'])
def test_an_engine_without_enough_memory_raises_out_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, str(tmp_path))
    stand_in(tmp_path, script)
    with pytest.raises(BadRecipe, match="more memory") as refused:
        run("llm-compressor", {}, tmp_path, "spec.pipeline[0].quantize")
    assert refused.value.reason == "OutOfMemory"


@pytest.mark.parametrize(("stage", "gives"), [(STAGE, "compressed-tensors"), (FLOAT8, "modelopt")])
def test_the_engine_format_is_published_and_its_graph_measured(
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


def test_a_graph_as_the_source_is_refused() -> None:
    spec = onnx_spec(pipeline=[STAGE], model={"source": "file:///model.onnx", "task": "text-generation"}, sla={})
    graph = replace(checkpoint_source({}), format="onnx")
    with pytest.raises(BadRecipe, match="it takes transformers and comes after a model in onnx") as refused:
        make_plan(spec, graph)
    assert "name a model in such a format" in refused.value.remedy
