"""Quantization-aware training: quantizers, gradients, and graphs with levels."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.dataset.generation import DECODER
from compression_runner.inference.onnx_session import open_session
from compression_runner.methods.quantize.qat.layers import QuantizedWeight, add_quantizers, remove_quantizers
from compression_runner.methods.quantize.qat.quantizers import BOUNDS, LearnedStep, Levels, SignQuantizer, quantizer
from compression_runner.methods.quantize.qat.storing import NotStored, store
from compressionjob.methods.registry import Quantize
from compressionjob.methods.training import Training
from tests.support import tiny_models
from tests.support.stage_data import labelled_tokens
from tests.support.stages import run_stage


@pytest.mark.parametrize("levels", list(BOUNDS))
def test_quantized_weights_are_levels_times_steps(levels: Levels) -> None:
    weight = torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(11))
    grid = quantizer(weight, levels)
    levels_of_weight, steps = grid.levels_and_scales(weight)
    on_grid = grid(weight)
    assert torch.allclose(levels_of_weight.float() * steps.reshape(-1, 1, 1, 1), on_grid, atol=1e-6)
    low, high = BOUNDS[levels]
    assert low <= int(levels_of_weight.min()) <= int(levels_of_weight.max()) <= high
    if levels == "binary":
        assert set(levels_of_weight.unique().tolist()) == {-1, 1}


@pytest.mark.parametrize("levels", ["int4", "ternary"])
def test_weights_and_steps_learn(levels: Levels) -> None:
    weight = torch.randn(6, 8, generator=torch.Generator().manual_seed(11)).requires_grad_()
    grid = quantizer(weight, levels)
    assert isinstance(grid, LearnedStep)
    (grid(weight) - torch.ones(6, 8)).square().sum().backward()
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0
    assert grid.step.grad is not None
    assert (grid.step.grad.abs() > 0).all()


def test_signs_of_weights_beyond_the_range_get_no_gradient() -> None:
    weight = torch.tensor([[0.1, -0.1, 8.0]], requires_grad=True)
    SignQuantizer()(weight)[0, 2].backward()
    inner = weight.grad
    assert inner is not None
    # It gets a gradient from the scale only: a third of each magnitude.
    assert inner[0, 2] == pytest.approx(1 / 3)


@pytest.mark.parametrize("kind", ["int8", "int4", "int2", "ternary", "binary"])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_graph_with_levels_keeps_its_outputs(kind: Levels, transposed: bool, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    low, high = BOUNDS[kind]
    levels = random.integers(low, high + 1, (7, 5)).astype(np.int8)
    if kind == "binary":
        levels[levels == 0] = 1
    steps = random.uniform(0.1, 2.0, 7).astype(np.float32)
    dense = levels.astype(np.float32) * steps[:, None]
    # A fused normalization multiplies channels again.
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
    details = store(model, {"layer": QuantizedWeight(torch.from_numpy(levels), torch.from_numpy(steps), kind)})
    assert details["layers"] == {kind: 1}
    onnx.save(model, tmp_path / "model.onnx")
    x = random.normal(size=(3, 5)).astype(np.float32)
    session = open_session(tmp_path / "model.onnx", exact=True)
    np.testing.assert_allclose(session.run(None, {"x": x})[0], x @ dense.T, rtol=1e-5, atol=1e-5)


def test_a_weight_missing_in_the_graph_is_reported() -> None:
    graph = helper.make_graph([], "empty", [], [], [numpy_helper.from_array(np.ones((2, 3), np.float32), "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    weight = QuantizedWeight(torch.tensor([[1, 0, 1], [0, 1, 0]], dtype=torch.int8), torch.ones(2), "int4")
    with pytest.raises(NotStored, match="layer is not in the exported graph"):
        store(model, {"layer": weight})


@pytest.mark.parametrize(("make", "task"), [("resnet", "image-classification"), ("bert", "text-classification")])
@pytest.mark.parametrize("dtype", ["int4", "binary"])
def test_the_stage_returns_a_smaller_graph(make: str, task: Any, dtype: Any, tmp_path: Path) -> None:
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


def test_layers_that_outputs_do_not_depend_on_are_skipped(tmp_path: Path) -> None:
    """Embeddings are means over tokens, so the exported graph does not include the pooler of BERT."""
    artifact = seal(tiny_models.bert(tmp_path / "model"), "transformers", "text-embedding")
    chosen = Quantize(method="qat", dtype="int4", training=Training(max_steps=2, batch_size=8))
    outcome = run_stage("quantize", artifact, chosen, tmp_path / "out")
    assert outcome.details["layers"]["int4"] >= 1


def test_rounded_activations_do_not_refuse_a_correct_graph(tmp_path: Path) -> None:
    place = tiny_models.bert(tmp_path / "model", labels=3, hidden=64)
    weights = load_file(place / "model.safetensors")
    for name, weight in weights.items():
        if name.endswith("LayerNorm.weight"):
            weight[::8] *= 60  # outliers, as in large models, which 8 bits represent badly
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


class Tied(torch.nn.Module):
    """An embedding, layers, and a head that shares the embedding's weight, as in T5."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = torch.nn.Embedding(12, 4)
        self.inner = torch.nn.Sequential(*(torch.nn.Linear(4, 4) for _ in range(3)))
        self.head = torch.nn.Linear(4, 12, bias=False)
        self.head.weight = self.shared.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.inner(self.shared(tokens)))


def test_layers_that_share_a_weight_share_its_grid() -> None:
    model = Tied()
    chosen = add_quantizers(model, "int4")
    assert chosen == {"shared": "int8", "inner.0": "int8", "inner.1": "int4", "inner.2": "int4", "head": "int8"}
    trained = torch.optim.SGD(model.parameters(), lr=0.001)
    for _ in range(3):
        trained.zero_grad()
        model(torch.arange(12)).square().sum().backward()
        trained.step()
    answers = model(torch.arange(12))
    weights = remove_quantizers(model, chosen)
    assert weights["head"] is weights["shared"]
    assert model.head.weight is model.shared.weight
    torch.testing.assert_close(model(torch.arange(12)), answers)


@pytest.mark.parametrize("written", [1, 2])
def test_a_shared_weight_is_stored_however_often_the_exporter_wrote_it(written: int) -> None:
    shared = QuantizedWeight(torch.tensor([[1, 0, 1], [0, 1, 0]], dtype=torch.int8), torch.ones(2), "int8")
    table = shared.levels.numpy().astype(np.float32)
    initializers = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(table.T, "head")][:written]
    graph = helper.make_graph([], "tied", [], [], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    assert store(model, {"shared": shared, "head": shared})["layers"] == {"int8": 2}
    assert [node.op_type for node in model.graph.node] == ["DequantizeLinear"] * written


def written_texts(count: int) -> SampleSet:
    """Return texts to which a model writes, as its encoder and its decoder take them."""
    tokens = np.random.default_rng(3).integers(3, 20, size=(count, 9))
    ones = np.ones(9, np.int64)
    samples = [{"input_ids": row, "attention_mask": ones, DECODER: np.array([0, *row[:3]])} for row in tokens]
    return SampleSet(samples, "sha256:0", padding={"input_ids": 0, "attention_mask": 0, DECODER: 0})


def test_the_stage_takes_a_model_whose_head_is_its_embedding(tmp_path: Path) -> None:
    artifact = seal(tiny_models.summarizer(tmp_path / "model"), "transformers", "summarization")
    chosen = Quantize(method="qat", dtype="int8", training=Training(max_steps=2, batch_size=4))
    outcome = run_stage("quantize", artifact, chosen, tmp_path / "out", data=written_texts(8))
    assert outcome.details["layers"]["int8"] >= 4
