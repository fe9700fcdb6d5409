"""ModelOpt in its own environment, on a tiny real language model."""

import subprocess
from pathlib import Path

import pytest
import torch

from compression_runner.artifact import Artifact
from compression_runner.formats.transformers_model import load_model
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.methods.registry import Quantize
from compressionjob.pod_interface import ENGINES_VARIABLE
from tests.engines.stage import made, rows, run

REFERENCE = """
import sys, torch
import modelopt.torch.quantization as mtq
from transformers import AutoModelForCausalLM
source, tokens, asked, answer = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
with torch.no_grad():
    see = lambda model: [model(torch.tensor([row])) for row in torch.load(tokens)]
    model = mtq.quantize(model, mtq.FP8_DEFAULT_CFG, see)
    torch.save(model(torch.load(asked)).logits, answer)
"""
"""ModelOpt's own model, which rounds to FP8 while it computes."""


def quantized(model: Artifact, into: Path) -> Outcome:
    return run(model, into, Quantize(method="static", dtype="float8", granularity="tensor", backend="modelopt"))


@pytest.mark.timeout(1800)
def test_what_is_measured_answers_as_modelopts_own_model_does(
    engines: Path, model: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, str(engines))
    outcome = quantized(model, tmp_path / "out")
    assert outcome.artifact.format == "modelopt"
    assert set(outcome.details["engineVersions"]) == {"nvidia-modelopt", "torch", "transformers"}
    tokens = torch.randint(3, 60, (2, 11), generator=torch.Generator().manual_seed(1))
    torch.save([row.tolist() for row in rows()], tmp_path / "rows.pt")
    torch.save(tokens, tmp_path / "asked.pt")
    python = engines / "modelopt" / "bin" / "python"
    given = [model.path, tmp_path / "rows.pt", tmp_path / "asked.pt", tmp_path / "answer.pt"]
    subprocess.run([str(python), "-c", REFERENCE, *map(str, given)], check=True)
    expected = torch.load(tmp_path / "answer.pt")
    with torch.no_grad():
        answer, before = (
            load_model(path, "text-generation")(tokens).logits for path in (outcome.artifact.path, model.path)
        )
    assert (before - expected).abs().max() > 1e-4, "FP8 is seen"
    torch.testing.assert_close(answer, expected, atol=2e-5, rtol=1e-4)
    exported = METHODS["export", ""].run(outcome.artifact, None, StageContext(made(tmp_path / "onnx"), "spec"))
    assert exported.details["maxAbsDifference"] < 1e-3


@pytest.mark.timeout(1800)
def test_the_same_model_gives_the_same_bytes(
    engines: Path, model: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINES_VARIABLE, str(engines))
    first, second = (quantized(model, tmp_path / name).artifact.digest for name in ("first", "second"))
    assert first == second
