"""W8A8 checkpoints for vLLM: their tensors, the model that they stand for, and SmoothQuant."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.formats.compressed_checkpoint import Int8Linear
from compression_runner.formats.input_rounding import Int8TokenLinear
from compression_runner.formats.transformers_model import load_model
from compression_runner.methods.quantize.vllm_int8.quantization import power_of_two, round_by_output
from compression_runner.pipeline.packed_check import require_same_model
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.methods.registry import Quantize
from tests.support import tiny_models
from tests.support.packed_checkpoints import changed, exported
from tests.support.stage_data import calibration
from tests.support.stages import apply_method

FIELD = "spec.pipeline[0].quantize"
LAYER = "model.layers.1.mlp.up_proj"
TOKENS = torch.randint(3, 60, (2, 11), generator=torch.Generator().manual_seed(1))


def quantized(model: Artifact, into: Path, **parameters: Any) -> Outcome:
    random = np.random.default_rng(3)
    rows = [random.integers(3, 60, 24) for _ in range(16)]
    samples = SampleSet([{"input_ids": row, "attention_mask": np.ones_like(row)} for row in rows], "sha256:0")
    into.mkdir(parents=True)
    context = StageContext(into, FIELD, data=calibration(samples, sequence_length=32))
    chosen = Quantize.model_validate({"method": "dynamic", "backend": "vllm", **parameters})
    return apply_method("quantize", model, chosen, context)


def cosine(one: Path, other: Path) -> float:
    """Return the cosine of two models' answers."""
    with torch.no_grad():
        answers = [load_model(path, "text-generation")(TOKENS).logits.flatten() for path in (one, other)]
    return float(torch.nn.functional.cosine_similarity(*answers, dim=0))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return seal(tiny_models.llama(tmp_path_factory.mktemp("llama") / "model"), "transformers", "text-generation")


@pytest.fixture(scope="module")
def plain(model: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return quantized(model, tmp_path_factory.mktemp("int8") / "plain")


@pytest.fixture(scope="module")
def uneven(model: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The model with a few channels that are much more active than the others before every layer."""
    folder = tmp_path_factory.mktemp("uneven")
    for file in model.files:
        (folder / file.path).write_bytes((model.path / file.path).read_bytes())
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        if "layernorm" in name:
            tensor[:3] *= 100
        if "up_proj" in name:
            tensor[:3] *= 30
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return seal(folder, "transformers", "text-generation")


def test_linear_layers_become_int8_with_one_scale_for_each_output(model: Artifact, plain: Outcome) -> None:
    before, after = (load_file(path / "model.safetensors") for path in (model.path, plain.artifact.path))
    assert set(after) - set(before) == {name for name in after if name.endswith("_proj.weight_scale")}
    assert len(set(after) - set(before)) == plain.details["layers"] == 14
    codes, scales = after[f"{LAYER}.weight"], after[f"{LAYER}.weight_scale"]
    assert (codes.dtype, scales.dtype, scales.shape) == (torch.int8, torch.float32, (len(codes), 1))
    assert (codes.abs().amax(dim=1) == 127).all()
    error = (codes * scales - before[f"{LAYER}.weight"]).abs()
    assert (error <= scales / 2 + 1e-7).all()
    (group,) = json.loads((plain.artifact.path / "config.json").read_text())["quantization_config"][
        "config_groups"
    ].values()
    assert (group["format"], group["weights"]["strategy"]) == ("int-quantized", "channel")
    inputs = group["input_activations"]
    assert (inputs["num_bits"], inputs["strategy"], inputs["dynamic"]) == (8, "token", True)


def test_the_judged_model_rounds_its_inputs(model: Artifact, plain: Outcome) -> None:
    judged = load_model(plain.artifact.path, "text-generation")
    rounding = [name for name, module in judged.named_modules() if isinstance(module, Int8TokenLinear)]
    assert len(rounding) == 14
    assert "lm_head" not in rounding
    assert 0.99 < cosine(plain.artifact.path, model.path) < 1 - 1e-7


def test_inputs_are_rounded_by_the_largest_magnitude_of_their_token() -> None:
    layer = Int8TokenLinear(3, 3, bias=False)
    inputs = torch.tensor([[[127.0, 0.4, -0.6], [0.0, 0.0, 0.0]], [[1.27, -1.27, 0.016], [-254.0, 3.0, 5.0]]])
    expected = torch.tensor([[[127.0, 0.0, -1.0], [0.0, 0.0, 0.0]], [[1.27, -1.27, 0.02], [-254.0, 4.0, 4.0]]])
    torch.testing.assert_close(layer.rounded(inputs), expected)


def test_smooth_quant_keeps_the_answers_of_a_model_with_outliers(uneven: Artifact, tmp_path: Path) -> None:
    outcome = quantized(uneven, tmp_path / "smooth", smoothQuant="0.5")
    assert outcome.details["scaledInputs"] == 6, "two norms and one gated product for each of two blocks"
    quantized(uneven, tmp_path / "plain")
    smooth, plain = (1 - cosine(tmp_path / name, uneven.path) for name in ("smooth", "plain"))
    assert smooth < plain / 2


def test_the_published_checkpoint_is_the_judged_graph(plain: Outcome, tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    graph = exported(plain.artifact, tmp_path / "onnx")
    require_same_model(plain.artifact, graph, FIELD, tmp_path / "scratch")

    def zero(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        tensors[f"{LAYER}.weight_scale"][3] = 0
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})

    broken = changed(plain.artifact, tmp_path / "broken", zero)
    with pytest.raises(BadRecipe, match=rf"{LAYER}\.weight_scale: a scale of 0 erases \d+ of 2048 codes"):
        require_same_model(broken, graph, FIELD, tmp_path / "scratch")


def test_an_unknown_rounding_of_inputs_is_refused(plain: Outcome, tmp_path: Path) -> None:
    def by_tensor(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        group = config["quantization_config"]["config_groups"]["group_0"]
        group["input_activations"] |= {"strategy": "tensor", "dynamic": False}
        (folder / "config.json").write_text(json.dumps(config))

    other = changed(plain.artifact, tmp_path / "other", by_tensor)
    with pytest.raises(BadRecipe, match="inputs of tensor int8 are not supported"):
        load_model(other.path, "text-generation")


def test_an_output_without_weights_has_a_usable_scale() -> None:
    layer = round_by_output(np.array([[0.0, 0.0], [1.0, -0.5]], np.float32))
    assert layer.scales.tolist() == [[1.0], [pytest.approx(1 / 127)]]
    assert layer.codes.tolist() == [[0, 0], [127, -64]]


def test_an_output_whose_scale_underflows_becomes_zero() -> None:
    layer = Int8Linear(np.array([[5, -7], [3, 2]], np.int8), np.array([[1.0], [2.0]], np.float32))
    layer.rescale(np.array([[0.0], [0.5]], np.float32))
    assert layer.codes.tolist() == [[0, 0], [3, 2]]
    assert layer.scales.tolist() == [[1.0], [0.5]]


def test_scales_become_powers_of_two() -> None:
    assert power_of_two(np.array([1.0, 3.1, 0.3, 0.5], np.float32)).tolist() == [1.0, 4.0, 0.25, 0.5]
