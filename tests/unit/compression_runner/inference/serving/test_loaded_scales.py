"""The comparison of a checkpoint's scales with those that a worker of vLLM has loaded."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from compression_runner.inference.serving import vllm

FILE, _, NAME = vllm.COMPARE_SCALES.partition(".")
SCALES = {
    "model.layers.0.self_attn.q_proj.weight_scale": torch.tensor([[0.5, 1.0], [1.5, 2.0]], dtype=torch.bfloat16),
    "model.layers.0.self_attn.k_proj.weight_scale": torch.tensor([[2.5, 0.5]], dtype=torch.bfloat16),
    "model.layers.1.self_attn.q_proj.weight_scale": torch.tensor([[4.0, 8.0]], dtype=torch.bfloat16),
}


def compare(folder: Path, model: torch.nn.Module) -> dict[str, Any]:
    """Compare as in a worker that has loaded this model."""
    source = importlib.util.spec_from_file_location(FILE, vllm.SCRIPTS / f"{FILE}.py")
    assert source
    assert source.loader
    module = importlib.util.module_from_spec(source)
    source.loader.exec_module(module)
    worker = type("Worker", (getattr(module, NAME),), {"get_model": lambda _: model})()
    result: dict[str, Any] = worker.compare_scales(str(folder))
    return result


def loaded(*layers: torch.Tensor) -> torch.nn.Module:
    """Return a model with one merged layer of these scales in each decoder layer."""
    model = torch.nn.Module()
    model.model = torch.nn.Module()
    model.model.layers = torch.nn.ModuleList()
    for scales in layers:
        layer = torch.nn.Module()
        layer.qkv_proj = torch.nn.Module()
        layer.qkv_proj.register_parameter("weight_scale", torch.nn.Parameter(scales, requires_grad=False))
        model.model.layers.append(layer)
    return model


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_file({**SCALES, "model.norm.weight": torch.ones(2)}, tmp_path / "model.safetensors")
    return tmp_path


def test_merged_and_reordered_scales_are_loaded(checkpoint: Path) -> None:
    merged = torch.tensor([[0.5, 2.0], [0.5, 1.5], [2.5, 1.0]], dtype=torch.bfloat16)
    result = compare(checkpoint, loaded(merged, torch.tensor([8.0, 4.0])))
    assert result == {"tensors": 3, "missing": {}}


def test_scales_that_a_kernel_keeps_as_a_plain_attribute_are_loaded(checkpoint: Path) -> None:
    model = loaded(torch.tensor([0.5, 2.0, 0.5, 1.5, 2.5, 1.0]), torch.tensor([8.0, 4.0]))
    layer: Any = model.model.layers[1].qkv_proj  # type: ignore[union-attr, index]
    del layer.weight_scale
    assert compare(checkpoint, model)["missing"] == {"model.layers.1.self_attn.q_proj.weight_scale": 2}
    layer.__dict__["kernel_scales"] = torch.tensor([8.0, 4.0])
    assert compare(checkpoint, model)["missing"] == {}


@pytest.mark.parametrize("first", [0.0, 0.5, float("nan")])
def test_a_value_that_is_loaded_less_often_than_stored_is_missing(checkpoint: Path, first: float) -> None:
    """0.5 is stored in two tensors of the layer, and loaded once or twice."""
    result = compare(checkpoint, loaded(torch.tensor([first, 2.0, 0.5, 1.5, 2.5, 1.0]), torch.tensor([4.0, 8.0])))
    both = {name: 1 for name in SCALES if ".0." in name}
    assert result["missing"] == ({} if first == 0.5 else both)


def test_scales_of_another_layer_do_not_count(checkpoint: Path) -> None:
    result = compare(checkpoint, loaded(torch.tensor([0.5, 2.0, 0.5, 1.5, 2.5, 1.0, 4.0, 8.0]), torch.tensor([1.0])))
    assert result["missing"] == {"model.layers.1.self_attn.q_proj.weight_scale": 2}


def test_a_stored_scale_that_is_not_finite_is_missing(tmp_path: Path) -> None:
    name = "model.layers.0.mlp.weight_scale"
    save_file({name: torch.tensor([float("nan"), 1.0])}, tmp_path / "model.safetensors")
    assert compare(tmp_path, loaded(torch.tensor([1.0, 1.0])))["missing"] == {name: 1}


def test_the_largest_of_merged_scales_of_whole_tensors_is_loaded(tmp_path: Path) -> None:
    """vLLM computes a merged layer with one scale, and quantizes its parts again."""
    parts = {f"model.layers.0.self_attn.{part}_proj.weight_scale": value for part, value in (("q", 0.5), ("k", 2.0))}
    save_file({name: torch.tensor([value]) for name, value in parts.items()}, tmp_path / "model.safetensors")
    assert compare(tmp_path, loaded(torch.tensor([2.0])))["missing"] == {}
    assert sorted(compare(tmp_path, loaded(torch.tensor([1.0])))["missing"]) == sorted(parts)
