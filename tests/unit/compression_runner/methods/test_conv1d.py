"""GPT-2's Conv1D layers are linear layers for every method, and are stored as Conv1D."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers.pytorch_utils import Conv1D

from compression_runner.artifact import Artifact, seal
from compression_runner.formats.linear import as_linear, as_stored, features
from compression_runner.formats.transformers_model import load_model
from compression_runner.methods.quantize.qat.layers import add_quantizers
from compression_runner.training import model
from compression_runner.training.student_initialization import derive
from compressionjob.methods.distill import Student
from compressionjob.methods.factorize import Factorize
from compressionjob.methods.prune import Prune
from tests.support import tiny_models
from tests.support.stages import run_stage

TOKENS = torch.arange(1, 25).reshape(2, 12)
FIRST = "transformer.h.0"
Shape = tuple[int, ...]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    place = tiny_models.gpt2(tmp_path_factory.mktemp("models") / "gpt2")
    return seal(place, "transformers", "text-classification")


def answers(loaded: model.Trainable) -> torch.Tensor:
    with torch.no_grad():
        return loaded.outputs((TOKENS, torch.ones_like(TOKENS)))[0]


def layers_of(loaded: nn.Module) -> list[str]:
    return [name for name, module in loaded.named_modules() if isinstance(module, Conv1D)]


def shapes(artifact: Artifact) -> dict[str, Shape]:
    """Return the shapes in the file; weights of Conv1D have the inputs first."""
    tensors = load_file(artifact.path / "model.safetensors")
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def test_converting_to_linear_layers_and_back_keeps_the_model(gpt2: Artifact) -> None:
    loaded = model.load(gpt2)
    names, before, stored = layers_of(loaded.inner), answers(loaded), dict(loaded.inner.state_dict())
    as_linear(loaded.inner)
    assert names
    assert not layers_of(loaded.inner)
    assert features(loaded.inner.get_submodule(f"{FIRST}.mlp.c_fc")) == (32, 128)
    assert torch.allclose(answers(loaded), before, atol=1e-6)
    as_stored(loaded.inner)
    assert layers_of(loaded.inner) == names
    assert all(torch.equal(tensor, stored[name]) for name, tensor in loaded.inner.state_dict().items())


PRUNED: dict[str, dict[str, Shape]] = {
    "neurons": {"mlp.c_fc.weight": (32, 64), "mlp.c_proj.weight": (64, 32), "attn.c_attn.weight": (32, 96)},
    "heads": {"attn.c_attn.weight": (32, 48), "attn.c_attn.bias": (48,), "attn.c_proj.weight": (16, 32)},
}


@pytest.mark.parametrize("structure", PRUNED)
def test_structures_are_pruned(structure: str, gpt2: Artifact, tmp_path: Path) -> None:
    parameters = Prune(method="structured", structure=structure, sparsity=0.5)  # type: ignore[arg-type]
    pruned = run_stage("prune", gpt2, parameters, tmp_path / "out").artifact
    shapes_after = shapes(pruned)
    assert PRUNED[structure].items() <= {name: shapes_after[f"{FIRST}.{name}"] for name in PRUNED[structure]}.items()
    assert answers(model.load(pruned)).shape == (2, 3)


def test_the_weakest_head_of_query_key_and_value_is_pruned(gpt2: Artifact, tmp_path: Path) -> None:
    weakened = model.load(gpt2)
    attention: Any = weakened.inner.get_submodule(f"{FIRST}.attn")
    with torch.no_grad():
        for start in (0, 32, 64):
            attention.c_attn.weight[:, start : start + 16] *= 0.01
    (tmp_path / "weak").mkdir()
    artifact = model.save(weakened, gpt2, tmp_path / "weak")
    parameters = Prune(method="structured", structure="heads", sparsity=0.5)
    pruned = model.load(run_stage("prune", artifact, parameters, tmp_path / "out").artifact)
    kept = [column for start in (16, 48, 80) for column in range(start, start + 16)]
    left: Any = pruned.inner.get_submodule(f"{FIRST}.attn")
    assert torch.equal(left.c_attn.weight, attention.c_attn.weight[:, kept])
    assert torch.equal(left.c_proj.weight, attention.c_proj.weight[16:])
    assert (left.num_heads, left.split_size) == (1, 16)


def test_layers_are_pruned(gpt2: Artifact, tmp_path: Path) -> None:
    outcome = run_stage("prune", gpt2, Prune(method="structured", structure="layers", sparsity=0.5), tmp_path / "out")
    assert outcome.artifact.format == "transformers"
    (removed,) = outcome.details["removedLayers"]
    before, after = model.load(gpt2).inner, model.load(outcome.artifact).inner
    for name, tensor in before.get_submodule(f"transformer.h.{1 - removed}").state_dict().items():
        assert torch.equal(after.get_submodule("transformer.h.0").state_dict()[name], tensor), name


def test_two_of_four_are_pruned_along_the_inputs(gpt2: Artifact, tmp_path: Path) -> None:
    pruned = run_stage("prune", gpt2, Prune(method="magnitude", pattern="2:4", sparsity=0.5), tmp_path / "out")
    weight: Any = load_model(pruned.artifact.path, "text-classification").get_submodule(f"{FIRST}.mlp.c_fc").weight
    assert weight.shape == (32, 128)
    assert ((weight.T.reshape(128, 8, 4) != 0).sum(-1) == 2).all()


def test_layers_are_factorized(gpt2: Artifact, tmp_path: Path) -> None:
    parameters = Factorize.model_validate({"method": "svd", "budget": "0.7", "include": ["*c_*"]})
    outcome = run_stage("factorize", gpt2, parameters, tmp_path / "out")
    assert outcome.details["factorized"] > 0
    again = model.load(outcome.artifact)
    factorized = [name for name in shapes(outcome.artifact) if name.endswith(".first.weight")]
    assert len(factorized) == outcome.details["factorized"]
    assert len(layers_of(again.inner)) == 8 - len(factorized)
    assert answers(again).shape == (2, 3)


@pytest.mark.parametrize(
    ("student", "expected"),
    [
        ({"layers": 1}, {"attn.c_attn.weight": (32, 96), "mlp.c_fc.weight": (32, 128)}),
        ({"hiddenSize": 16}, {"attn.c_attn.weight": (16, 48), "attn.c_proj.weight": (16, 16)}),
        ({"intermediateSize": 64}, {"mlp.c_fc.weight": (32, 64), "mlp.c_proj.weight": (64, 32)}),
    ],
    ids=["layers", "width", "neurons"],
)
def test_a_student_is_derived(student: dict[str, int], expected: dict[str, Shape], gpt2: Artifact) -> None:
    teacher = model.load(gpt2)
    derived = derive(teacher, Student.model_validate(student), "spec.pipeline[0].distill.student")
    tensors = derived.inner.get_submodule(FIRST).state_dict()
    assert {name: tuple(tensors[name].shape) for name in expected} == expected
    assert len(layers_of(teacher.inner)) == 8
    assert answers(derived).shape == (2, 3)


def test_quantizers_have_one_step_per_output(gpt2: Artifact) -> None:
    student = model.load_linear(gpt2)
    kinds = add_quantizers(student.inner, "int4")
    assert kinds[f"{FIRST}.mlp.c_fc"] == "int4"
    layer: Any = student.inner.get_submodule(f"{FIRST}.mlp.c_fc")
    assert layer.parametrizations.weight[0].step.shape == (128, 1)
