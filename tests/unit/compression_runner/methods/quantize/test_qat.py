"""Quantization-aware training: grids, gradients, and graphs that hold levels."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file

from compression_runner.artifact import Artifact, seal
from compression_runner.inference.session import open_session
from compression_runner.methods.quantize.qat.layers import OnGrid
from compression_runner.methods.quantize.qat.quantizers import BOUNDS, Levels, Signs, Steps, quantizer
from compression_runner.methods.quantize.qat.storing import NotStored, store
from compressionjob.methods.registry import Quantize
from compressionjob.methods.training import Training
from tests.support import tiny_models
from tests.support.stage_data import labelled_tokens
from tests.support.stages import run_stage


@pytest.mark.parametrize("levels", list(BOUNDS))
def test_weights_lie_on_their_grid(levels: Levels) -> None:
    weight = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(11))
    grid = quantizer(weight, levels)
    whole, steps = grid.whole(weight)
    on_grid = grid(weight)
    assert torch.allclose(whole.float() * steps.reshape(-1, 1, 1, 1), on_grid, atol=1e-6)
    low, high = BOUNDS[levels]
    assert low <= int(whole.min()) <= int(whole.max()) <= high
    if levels == "binary":
        assert set(whole.unique().tolist()) == {-1, 1}


@pytest.mark.parametrize("levels", ["int4", "ternary"])
def test_weights_and_steps_learn(levels: Levels) -> None:
    weight = torch.randn(6, 8, generator=torch.Generator().manual_seed(11)).requires_grad_()
    grid = quantizer(weight, levels)
    assert isinstance(grid, Steps)
    (grid(weight) - torch.ones(6, 8)).square().sum().backward()
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0
    assert grid.step.grad is not None
    assert (grid.step.grad.abs() > 0).all()


def test_the_sign_of_a_weight_far_out_does_not_learn() -> None:
    weight = torch.tensor([[0.1, -0.1, 8.0]], requires_grad=True)
    Signs()(weight)[0, 2].backward()
    inner = weight.grad
    assert inner is not None
    # Only the scale, a third of each magnitude, brings a gradient to it.
    assert inner[0, 2] == pytest.approx(1 / 3)


@pytest.mark.parametrize("kind", ["int8", "int4", "int2", "ternary", "binary"])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_graph_with_levels_answers_as_before(kind: Levels, transposed: bool, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    low, high = BOUNDS[kind]
    levels = random.integers(low, high + 1, (7, 5)).astype(np.int8)
    if kind == "binary":
        levels[levels == 0] = 1
    steps = random.uniform(0.1, 2.0, 7).astype(np.float32)
    dense = levels.astype(np.float32) * steps[:, None]
    # A normalisation that was taken in multiplies channels once more.
    dense *= random.uniform(0.5, 2.0, (7, 1)).astype(np.float32)
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transB=0 if transposed else 1)
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 5])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", 7])],
        [numpy_helper.from_array(np.ascontiguousarray(dense.T if transposed else dense), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    told = store(model, {"layer": OnGrid(torch.from_numpy(levels), torch.from_numpy(steps), kind)})
    assert told["layers"] == {kind: 1}
    onnx.save(model, tmp_path / "model.onnx")
    x = random.normal(size=(3, 5)).astype(np.float32)
    session = open_session(tmp_path / "model.onnx", exact=True)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], x @ dense.T, rtol=1e-5, atol=1e-5)


def test_a_weight_that_is_not_in_the_graph_is_told() -> None:
    graph = helper.make_graph([], "empty", [], [], [numpy_helper.from_array(np.ones((2, 3), np.float32), "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    weight = OnGrid(torch.tensor([[1, 0, 1], [0, 1, 0]], dtype=torch.int8), torch.ones(2), "int4")
    with pytest.raises(NotStored, match="layer is not in the exported graph"):
        store(model, {"layer": weight})


@pytest.mark.parametrize(("make", "task"), [("resnet", "image-classification"), ("bert", "text-classification")])
@pytest.mark.parametrize("dtype", ["int4", "binary"])
def test_the_stage_gives_a_smaller_graph(make: str, task: Any, dtype: Any, tmp_path: Path) -> None:
    from compression_runner.dataset import SampleSet

    place = getattr(tiny_models, make)(tmp_path / "model", labels=3)
    artifact: Artifact = seal(place, "transformers", task)
    random = np.random.default_rng(2)
    images = [{"pixel_values": random.normal(size=(1, 16, 16)).astype(np.float32)} for _ in range(24)]
    data = labelled_tokens(24) if make == "bert" else SampleSet(images, "sha256:0", labels=random.integers(0, 3, 24))
    settings = Training(epochs=2, batch_size=8, learning_rate=0.005)
    outcome = run_stage(
        "quantize", artifact, Quantize(method="qat", dtype=dtype, training=settings), tmp_path / "out", data=data
    )
    assert outcome.artifact.format == "onnx"
    assert outcome.details["layers"][dtype] >= 1
    exported = run_stage("export", artifact, None, tmp_path / "float", data=data).artifact
    assert outcome.artifact.size_bytes < 0.8 * exported.size_bytes


def test_a_layer_that_no_answer_goes_through_stays_as_it_is(tmp_path: Path) -> None:
    """The pooler of BERT: embeddings are means over tokens, and the exporter leaves it out of the graph."""
    artifact = seal(tiny_models.bert(tmp_path / "model"), "transformers", "text-embedding")
    chosen = Quantize(method="qat", dtype="int4", training=Training(max_steps=2, batch_size=8))
    outcome = run_stage("quantize", artifact, chosen, tmp_path / "out")
    assert outcome.details["layers"]["int4"] >= 1


def test_activations_that_the_runtime_rounds_refuse_no_graph_whose_levels_are_right(tmp_path: Path) -> None:
    place = tiny_models.bert(tmp_path / "model", labels=3, hidden=64)
    weights = load_file(place / "model.safetensors")
    for name, weight in weights.items():
        if name.endswith("LayerNorm.weight"):
            weight[::8] *= 60  # outliers, as in large models: 8 bits leave little for the rest
        elif name == "classifier.weight":
            weight *= 200
        elif weight.dim() == 2 and "embed" not in name:
            weight *= 7
    save_file(weights, place / "model.safetensors", {"format": "pt"})
    settings = Training(epochs=1, batch_size=8, learning_rate=0.00001)
    outcome = run_stage(
        "quantize",
        seal(place, "transformers", "text-classification"),
        Quantize(method="qat", dtype="int2", training=settings),
        tmp_path / "out",
        data=labelled_tokens(24),
    )
    assert outcome.details["maxAbsDifference"] > 1, "logits go up to some 50"
