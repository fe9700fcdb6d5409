"""FP8 checkpoints of ModelOpt are dequantized on loading. tests/engines checks files that ModelOpt itself writes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from compression_runner.artifact import seal
from compression_runner.errors import BadRecipe
from compression_runner.formats.export import export, load_exportable
from compression_runner.formats.input_rounding import without_rounding
from compression_runner.formats.transformers_model import load_model
from compression_runner.inference.onnx_session import open_session
from tests.support import tiny_models

LARGEST = 448.0


def checkpoint(folder: Path, *, without: str = "", algorithm: str = "FP8") -> Path:
    """Write a tiny language model with FP8 projections."""
    place = tiny_models.llama(folder)
    tensors = load_file(place / "model.safetensors")
    for name in [name for name in tensors if name.endswith("proj.weight")]:
        scale = tensors[name].abs().max() / LARGEST
        tensors[name] = (tensors[name] / scale).to(torch.float8_e4m3fn)
        tensors[f"{name}_scale"] = scale
        tensors[f"{name.removesuffix('weight')}input_scale"] = torch.tensor(0.01)
    tensors.pop(without, None)
    save_file(tensors, place / "model.safetensors", {"format": "pt"})
    config: dict[str, Any] = json.loads((place / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "modelopt", "quant_algo": algorithm}
    (place / "config.json").write_text(json.dumps(config))
    return place


def test_weights_are_dequantized_and_inputs_rounded(tmp_path: Path) -> None:
    model = load_model(checkpoint(tmp_path / "model"), "text-generation")
    stored = load_file(tmp_path / "model" / "model.safetensors")
    name = "model.layers.0.mlp.down_proj"
    layer = model.get_submodule(name)
    expected = stored[f"{name}.weight"].float() * stored[f"{name}.weight_scale"]
    assert torch.equal(layer.get_parameter("weight"), expected)
    # 1.0 / 0.01 is between 96 and 104, FP8's neighbours; 100 is beyond all of them.
    inputs = torch.full((1, expected.shape[1]), 1.0)
    torch.testing.assert_close(layer(inputs), torch.full_like(inputs, 0.96) @ expected.T)
    torch.testing.assert_close(layer(100 * inputs), torch.full_like(inputs, LARGEST * 0.01) @ expected.T)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"without": "model.layers.0.mlp.up_proj.weight_scale"}, "up_proj has FP8 weights without"),
        ({"algorithm": "NVFP4"}, "ModelOpt's NVFP4 is not supported, only its FP8"),
    ],
)
def test_other_modelopt_checkpoints_are_refused(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(BadRecipe, match=message):
        load_model(checkpoint(tmp_path / "model", **changes), "text-generation")


def test_an_exported_graph_rounds_like_the_model(tmp_path: Path) -> None:
    artifact = seal(checkpoint(tmp_path / "model"), "modelopt", "text-generation")
    (tmp_path / "onnx").mkdir()
    compared = export(artifact, tmp_path / "onnx")
    assert compared.max_abs_difference <= compared.limit
    exportable = load_exportable(artifact)
    feed = {name: part.numpy() for name, part in zip(exportable.interface.inputs, exportable.inputs[0], strict=True)}
    (got,) = open_session(tmp_path / "onnx" / "model.onnx").run([exportable.interface.outputs[0]], feed)
    with torch.no_grad():
        rounded = exportable.module(*exportable.inputs[0])[0]
        with without_rounding(exportable.module) as rounds:
            plain = exportable.module(*exportable.inputs[0])[0]
    assert rounds
    difference = float((rounded - plain).abs().max())
    assert difference > 100 * compared.max_abs_difference, "rounding to FP8 has an effect"
    assert float((torch.from_numpy(got) - rounded).abs().max()) < 0.5 * difference
