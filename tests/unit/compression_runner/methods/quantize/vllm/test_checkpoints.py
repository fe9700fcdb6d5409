"""Checkpoints for vLLM: their tensors, their values in transformers, and the model that they stand for."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.formats.compressed_checkpoint import write_checkpoint
from compression_runner.formats.transformers_model import load_model
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.methods.registry import Quantize
from tests.support import tiny_models
from tests.support.stage_data import calibration
from tests.support.stages import apply_method

TOKENS = torch.randint(3, 60, (2, 11), generator=torch.Generator().manual_seed(1))
LINEAR = [
    f"model.layers.{layer}.{name}_proj"
    for layer in range(2)
    for name in ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up", "mlp.down")
]
NORM = "model.layers.0.input_layernorm.weight"


def quantized(model: Artifact, into: Path, **parameters: Any) -> Outcome:
    """Run the stage in groups of 32 inputs."""
    random = np.random.default_rng(3)
    rows = [random.integers(3, 60, 24) for _ in range(16)]
    samples = SampleSet([{"input_ids": row, "attention_mask": np.ones_like(row)} for row in rows], "sha256:0")
    into.mkdir(parents=True)
    context = StageContext(into, "spec.pipeline[0].quantize", data=calibration(samples, sequence_length=32))
    chosen = {"method": "weight-only", "backend": "vllm", "groupSize": 32} | parameters
    return apply_method("quantize", model, Quantize.model_validate(chosen), context)


def logits(model: Any) -> torch.Tensor:
    """Return the answers of a model."""
    with torch.no_grad():
        answers: torch.Tensor = model(TOKENS).logits
    return answers


def cosine(model: Path, other: Path) -> float:
    """Return the cosine of two models' answers."""
    one, two = (logits(load_model(path, "text-generation")).flatten() for path in (model, other))
    return float(torch.nn.functional.cosine_similarity(one, two, dim=0))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A tiny language model, in float32."""
    return seal(tiny_models.llama(tmp_path_factory.mktemp("llama") / "model"), "transformers", "text-generation")


@pytest.fixture(scope="module")
def short(model: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The same model in bfloat16, in two shards."""
    folder = tmp_path_factory.mktemp("short")
    for file in model.files:
        (folder / file.path).write_bytes((model.path / file.path).read_bytes())
    tensors = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(folder / "model.safetensors").items()}
    (folder / "model.safetensors").unlink()
    weight_map = {name: f"model-0000{1 + (name < 'model.layers.1')}-of-00002.safetensors" for name in tensors}
    for shard in set(weight_map.values()):
        save_file(
            {name: tensors[name] for name in tensors if weight_map[name] == shard}, folder / shard, {"format": "pt"}
        )
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return seal(folder, "transformers", "text-generation")


@pytest.mark.parametrize(
    ("algorithm", "dtype", "group", "least"),
    [("rtn", "int8", -1, 0.999), ("gptq", "int4", 32, 0.9), ("awq", "int8", 32, 0.999)],
)
def test_transformers_loads_the_values_that_are_measured(
    model: Artifact, tmp_path: Path, algorithm: str, dtype: str, group: int, least: float
) -> None:
    outcome = quantized(model, tmp_path / "out", algorithm=algorithm, dtype=dtype, groupSize=group)
    assert outcome.artifact.format == "compressed-tensors"
    assert outcome.details["layers"] == len(LINEAR)
    packed = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    measured = load_model(tmp_path / "out", "text-generation")
    torch.testing.assert_close(logits(packed), logits(measured), atol=1e-4, rtol=1e-4)
    assert cosine(tmp_path / "out", model.path) > least
    if algorithm == "gptq":
        quantized(model, tmp_path / "rtn", dtype=dtype)
        assert cosine(tmp_path / "out", model.path) > cosine(tmp_path / "rtn", model.path)
    # Every weight is a code times the scale in the file.
    tensors = load_file(tmp_path / "out" / "model.safetensors")
    for name in LINEAR:
        weights, scales = measured.get_parameter(f"{name}.weight").detach(), tensors[f"{name}.weight_scale"]
        codes = weights / scales.repeat_interleave(weights.shape[1] // scales.shape[1], 1)
        torch.testing.assert_close(codes, codes.round(), atol=1e-3, rtol=0)
        assert codes.round().abs().max() == {"int4": 8, "int8": 128}[dtype]
        assert torch.equal(scales, scales.to(torch.bfloat16).to(scales.dtype)), "vLLM may round them to bfloat16"


def test_only_linear_layers_change(short: Artifact, tmp_path: Path) -> None:
    outcome = quantized(short, tmp_path / "out", dtype="int4")
    before, after = (
        {name: tensor for shard in folder.glob("*.safetensors") for name, tensor in load_file(shard).items()}
        for folder in (short.path, tmp_path / "out")
    )
    parts = ("weight_packed", "weight_scale", "weight_shape")
    assert set(after) - set(before) == {f"{name}.{part}" for name in LINEAR for part in parts}
    assert set(before) - set(after) == {f"{name}.weight" for name in LINEAR}
    assert all(torch.equal(after[name], before[name]) for name in set(before) & set(after))
    assert {after[f"{name}.weight_scale"].dtype for name in LINEAR} == {torch.bfloat16}
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"]) == set(after)
    settings = json.loads((tmp_path / "out" / "config.json").read_text())["quantization_config"]
    assert settings["format"] == "pack-quantized"
    assert settings["ignore"] == ["lm_head"]
    assert settings["config_groups"]["group_0"]["weights"]["group_size"] == 32
    assert cosine(tmp_path / "out", short.path) > 0.9
    again = quantized(short, tmp_path / "again", dtype="int4")
    assert again.artifact.digest == outcome.artifact.digest


def test_norms_and_gated_layers_absorb_the_scales_of_awq(model: Artifact, tmp_path: Path) -> None:
    uneven = tmp_path / "uneven"
    uneven.mkdir()
    for file in model.files:
        (uneven / file.path).write_bytes((model.path / file.path).read_bytes())
    tensors = load_file(uneven / "model.safetensors")
    for name, tensor in tensors.items():
        # A few channels of the inputs of every layer are much more active than the others.
        if "layernorm" in name:
            tensor[:3] *= 30
        if "up_proj" in name:
            tensor[:3] *= 10
    save_file(tensors, uneven / "model.safetensors", {"format": "pt"})
    before = seal(uneven, "transformers", "text-generation")
    outcome = quantized(before, tmp_path / "awq", algorithm="awq", dtype="int8")
    assert outcome.details["scaledInputs"] == 6, "two norms and one gated product for each of two blocks"
    after = load_file(tmp_path / "awq" / "model.safetensors")
    assert not torch.equal(after[NORM], tensors[NORM])
    assert cosine(tmp_path / "awq", uneven) > 0.999


def test_groups_that_do_not_divide_a_layer_are_refused(model: Artifact, tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"has 32 inputs, and vLLM 0\.32 takes multiples of 64 only") as refused:
        quantized(model, tmp_path / "out", groupSize=64)
    assert refused.value.field == "spec.pipeline[0].quantize.groupSize"
    assert refused.value.remedy == "use groupSize 32"


def test_a_checkpoint_with_other_names_is_refused(model: Artifact, tmp_path: Path) -> None:
    renamed = tmp_path / "renamed"
    renamed.mkdir()
    for file in model.files:
        (renamed / file.path).write_bytes((model.path / file.path).read_bytes())
    tensors = load_file(renamed / "model.safetensors")
    other = {name.removeprefix("model."): tensor for name, tensor in tensors.items()}
    save_file(other, renamed / "model.safetensors", {"format": "pt"})
    with pytest.raises(BadRecipe, match=r"no tensor model\.layers\.0\.self_attn\.q_proj\.weight of shape") as refused:
        quantized(seal(renamed, "transformers", "text-generation"), tmp_path / "out")
    assert "save_pretrained" in refused.value.remedy


def test_a_replaced_tensor_that_no_shard_stores_is_refused(model: Artifact, tmp_path: Path) -> None:
    replaced = {NORM: np.ones(32, np.float32), f"backbone.{NORM}": np.ones(32, np.float32)}
    with pytest.raises(BadRecipe, match=f"has no tensor backbone.{NORM}") as refused:
        write_checkpoint(model, tmp_path, {}, replaced, {})
    assert "save_pretrained" in refused.value.remedy
    assert not [*tmp_path.iterdir()]


def test_experts_in_one_tensor_are_refused_by_any_name(tmp_path: Path) -> None:
    config = transformers.JetMoeConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=1,
        num_key_value_heads=2,
        kv_channels=8,
        intermediate_size=64,
        num_local_experts=4,
        num_experts_per_tok=2,
    )
    transformers.JetMoeForCausalLM(config).save_pretrained(tmp_path / "jetmoe")
    with pytest.raises(BadRecipe, match=r"_linear\.weight belongs to a mixture of experts"):
        quantized(seal(tmp_path / "jetmoe", "transformers", "text-generation"), tmp_path / "out")
