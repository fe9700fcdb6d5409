"""llm-compressor in its own environment, on a tiny real language model."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from compression_runner.artifact import Artifact, seal
from compression_runner.errors import BadRecipe
from compression_runner.formats.transformers_model import load_model
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.methods.registry import Quantize
from compressionjob.pod_interface import ENGINES_VARIABLE
from tests.engines.stage import made, run

# llm-compressor 0.14 pins what AWQ keeps in memory, which takes a driver.
NEEDS_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="its AWQ asks for a GPU's driver")


def quantized(model: Artifact, into: Path, **parameters: Any) -> Outcome:
    return run(model, into, Quantize(method="weight-only", backend="llm-compressor", **parameters))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("algorithm", ["rtn", "gptq", pytest.param("awq", marks=NEEDS_GPU)])
def test_the_result_loads_by_transformers_and_answers_alike(
    engines: Path, model: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: Any
) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, str(engines))
    outcome = quantized(model, tmp_path / "out", dtype="int8", group_size=16, algorithm=algorithm)
    assert outcome.artifact.format == "compressed-tensors"
    assert outcome.details["engineVersions"]["torch"] != torch.__version__.split("+")[0]
    # As a stranger loads it, weights packed, and as it is measured, with the weights that these stand for.
    packed = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    dense, before = load_model(tmp_path / "out", "text-generation"), load_model(model.path, "text-generation")
    tokens = torch.randint(3, 60, (2, 11), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        answers = [each(tokens).logits for each in (packed, dense, before)]
    torch.testing.assert_close(answers[0], answers[1], atol=1e-4, rtol=1e-3)
    cosine = torch.nn.functional.cosine_similarity(answers[1].flatten(), answers[2].flatten(), dim=0)
    assert cosine > 0.999
    exported = METHODS["export", ""].run(outcome.artifact, None, StageContext(made(tmp_path / "onnx"), "spec"))
    assert exported.details["maxAbsDifference"] < 1e-3


@pytest.mark.timeout(1800)
def test_the_same_model_gives_the_same_bytes(
    engines: Path, model: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, str(engines))
    first, second = (
        quantized(model, tmp_path / name, dtype="int4", group_size=16, algorithm="gptq").artifact.digest
        for name in ("first", "second")
    )
    assert first == second


@pytest.mark.timeout(1800)
def test_the_stage_reports_the_output_of_the_engine(
    engines: Path, model: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, str(engines))
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for file in model.files:
        (damaged / file.path).write_bytes((model.path / file.path).read_bytes())
    (damaged / "config.json").write_text('{"model_type": "llama", "hidden_size": 7}')
    with pytest.raises(BadRecipe, match=r"it ended with 1: .*Error") as refused:
        quantized(seal(damaged, "transformers", "text-generation"), tmp_path / "out", dtype="int4", group_size=16)
    assert refused.value.reason == "EngineFailed"
