"""Programs of torch.export as output: outputs equal those of the model, and sources without a module are refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from compression_runner.artifact import seal
from compression_runner.errors import BadRecipe
from compression_runner.formats.transformers_model import load_model
from compression_runner.methods.pack.unpacking import unpack
from compression_runner.stages.method import StageContext
from compressionjob.methods.pack import Pack
from tests.support import tiny_models
from tests.support.plans import plan_for
from tests.support.stages import apply_method


def run(name: str, artifact: Any, parameters: Any, into: Path) -> Any:
    into.mkdir()
    return apply_method(name, artifact, parameters, StageContext(into, "spec.pipeline[0]"))


def test_a_program_equals_the_model_for_any_batch(tmp_path: Path) -> None:
    source = seal(tiny_models.bert(tmp_path / "bert", labels=3), "transformers", "text-classification")
    outcome = run("export-program", source, None, tmp_path / "program")
    assert outcome.artifact.format == "torch-export"
    assert outcome.details["maxAbsDifference"] < 1e-5
    program = torch.export.load(tmp_path / "program" / "model.pt2").module()
    model = load_model(source.path, source.task)
    for shape in ((1, 2), (3, 11), (5, 16)):
        tokens = torch.randint(5, 30, shape)
        given = (tokens, torch.ones_like(tokens), torch.zeros_like(tokens))
        with torch.no_grad():
            torch.testing.assert_close(program(*given), model(*given).logits)


def test_programs_are_reproducible(tmp_path: Path) -> None:
    source = seal(tiny_models.resnet(tmp_path / "resnet"), "transformers", "image-classification")
    first, second = (run("export-program", source, None, tmp_path / name).artifact for name in ("first", "second"))
    assert first.digest == second.digest


def test_a_program_is_packed_and_unpacked(tmp_path: Path) -> None:
    source = seal(tiny_models.resnet(tmp_path / "resnet"), "transformers", "image-classification")
    program = run("export-program", source, None, tmp_path / "program").artifact
    packed = run("pack", program, Pack(codec="zstd"), tmp_path / "packed").artifact
    assert packed.size_bytes < program.size_bytes
    assert unpack(packed, tmp_path / "unpacked").digest == program.digest


def test_the_plan_measures_the_model_before_the_program(tmp_path: Path) -> None:
    tiny_models.bert(tmp_path / "bert", labels=3)
    plan = plan_for(
        tmp_path / "bert", "text-classification", {"prune": {"sparsity": "0.5"}}, {"pack": {}}, format="torch-export"
    )
    assert [step.method.name for step in plan.steps] == ["prune", "export-program", "pack"]
    assert plan.measured is not None
    assert plan.measured.method.name == "export"
    assert plan.measured.parent is plan.steps[0]


def test_a_program_of_a_graph_is_refused(tmp_path: Path) -> None:
    tiny_models.perceptron(tmp_path / "model")
    with pytest.raises(BadRecipe, match="made of a Transformers model") as refused:
        plan_for(tmp_path / "model", "onnx", {"prune": {"sparsity": "0.5"}}, format="torch-export")
    assert refused.value.field == "spec.output.format"


@pytest.mark.parametrize(
    "stage",
    [
        {"quantize": {"method": "dynamic"}},
        {"quantize": {"method": "cast", "dtype": "float16"}},
        {"quantize": {"method": "cast", "dtype": "bfloat16"}},
    ],
)
def test_validation_refuses_a_program_after_graph_stages(tmp_path: Path, stage: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="cannot be exported as a program"):
        plan_for(tmp_path, "text-classification", stage, format="torch-export")


@pytest.mark.parametrize(
    "stage",
    [
        {"prune": {"method": "wanda", "sparsity": "0.5"}},
        {"prune": {"method": "sparsegpt", "pattern": "2:4", "sparsity": "0.5"}},
        {"factorize": {"method": "cp", "budget": "0.5"}},
        {"factorize": {"method": "tucker", "rank": 4}},
    ],
)
def test_stages_on_checkpoints_allow_a_program(tmp_path: Path, stage: dict[str, Any]) -> None:
    tiny_models.resnet(tmp_path / "model")
    plan = plan_for(tmp_path / "model", "image-classification", stage, format="torch-export")
    assert [step.method.name for step in plan.steps] == [next(iter(stage)), "export-program"]
