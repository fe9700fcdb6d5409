"""Wanda, SparseGPT and the 2:4 pattern: known results, and pruning of real graphs and checkpoints."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper
from safetensors.torch import load_file

from compression_runner.artifact import Format, seal
from compression_runner.calibration.statistics import InputStatistics
from compression_runner.errors import BadRecipe
from compression_runner.formats.export import plain_graph
from compression_runner.methods.prune import sparsegpt, wanda
from compression_runner.methods.prune.calibrated import prunable
from compression_runner.methods.prune.patterns import lowest_scores
from compression_runner.methods.registry import METHODS
from compression_runner.stages.method import StageContext
from compressionjob.methods.prune import Prune
from compressionjob.tasks import Task
from tests.support import tiny_models
from tests.support.graphs import graph, language_model, random
from tests.support.stage_data import FakeStageData, array_samples, calibration
from tests.support.stages import prune, sealed_graph, weights_of


def test_rows_lose_exactly_their_fraction_with_ties_in_order() -> None:
    scores = np.array([[3.0, 1.0, 2.0, 0.0, 5.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    np.testing.assert_array_equal(
        lowest_scores(scores, 0.5, "unstructured"),
        [[False, True, False, True, False], [True, True, False, False, False]],
    )
    fours = np.array([[4.0, 1.0, 3.0, 2.0, 9.0, 9.0, 9.0, 9.0]])
    np.testing.assert_array_equal(
        lowest_scores(fours, 0.5, "2:4"), [[False, True, False, True, True, True, False, False]]
    )


def test_wanda_keeps_a_small_weight_of_an_active_input() -> None:
    weights = np.array([[0.1, 1.0, -0.9, 0.2]], np.float32)
    result = wanda.prune(weights, np.array([20.0, 1.0, 1.0, 1.0]), 0.5, "unstructured")
    np.testing.assert_array_equal(result, np.array([[0.1, 1.0, 0.0, 0.0]], np.float32))


def correlated() -> tuple[np.ndarray, InputStatistics]:
    inputs = (random(800, 64, seed=22) @ (random(64, 64, seed=21) / 8 + 0.2 * np.eye(64))).astype(np.float32)
    statistics = InputStatistics(64)
    statistics.add(inputs)
    return inputs, statistics


def error(inputs: np.ndarray, weights: np.ndarray, result: np.ndarray) -> float:
    return float(np.square(inputs @ (weights - result).T).sum())


@pytest.mark.parametrize("pattern", ["unstructured", "2:4"])
def test_errors_decrease_from_magnitude_to_wanda_to_sparsegpt(pattern: Any) -> None:
    inputs, statistics = correlated()
    inputs[:, ::7] *= 5
    statistics = InputStatistics(64)
    statistics.add(inputs)
    weights = random(48, 64)
    assert statistics.hessian is not None
    by_magnitude = error(inputs, weights, np.where(lowest_scores(np.abs(weights), 0.5, pattern), 0, weights))
    by_wanda = error(inputs, weights, wanda.prune(weights, statistics.norms, 0.5, pattern))
    by_sparsegpt = error(inputs, weights, sparsegpt.prune(weights, statistics.hessian, 0.5, pattern))
    assert by_sparsegpt < 0.9 * by_wanda
    assert by_wanda < 0.9 * by_magnitude


def test_sparsegpt_compensates_a_single_weight_by_least_squares() -> None:
    inputs, statistics = correlated()
    weights = np.full((1, 64), 3.0, np.float32)
    weights[0, 0] = 0.01
    assert statistics.hessian is not None
    result = sparsegpt.prune(weights, statistics.hessian, 1 / 64, "unstructured", damping=1e-6)
    rest = inputs[:, 1:].astype(np.float64)
    best = np.linalg.lstsq(rest, inputs @ weights[0], rcond=None)[0]
    assert result[0, 0] == 0
    np.testing.assert_allclose(result[0, 1:], best, atol=2e-3)


def test_two_of_every_four_are_zero_after_sparsegpt() -> None:
    _, statistics = correlated()
    assert statistics.hessian is not None
    result = sparsegpt.prune(random(8, 64), statistics.hessian, 0.5, "2:4")
    np.testing.assert_array_equal((result.reshape(-1, 4) == 0).sum(1), 2)


@pytest.mark.parametrize("method", ["wanda", "sparsegpt"])
@pytest.mark.parametrize("pattern", ["unstructured", "2:4"])
def test_layers_of_a_graph_are_pruned_and_tables_stay(tmp_path: Path, method: str, pattern: str) -> None:
    model = language_model()
    outcome = prune(sealed_graph(model, tmp_path / "source"), tmp_path / "out", method=method, pattern=pattern)
    before, after = weights_of(sealed_graph(model, tmp_path / "again")), weights_of(outcome.artifact)
    np.testing.assert_array_equal(after["table"], before["table"])
    assert outcome.details["left"] == ["table"]
    assert outcome.details["sparsity"] == pytest.approx(0.5, abs=0.01)
    assert outcome.details["calibrationRows"] == 400
    for name in ("gate", "up", "down"):
        assert (after[name] == 0).mean() == pytest.approx(0.5, abs=0.01)
        if pattern == "2:4":
            np.testing.assert_array_equal((after[name].T.reshape(-1, 4) == 0).sum(1), 2)
    changed = [name for name in ("gate", "up", "down") if (after[name] != before[name])[after[name] != 0].any()]
    assert changed == (["gate", "up", "down"] if method == "sparsegpt" else [])


def test_convolutions_are_pruned_by_their_patches(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "alone"], ["c"], kernel_shape=[3, 3], group=8),
        helper.make_node("Conv", ["c", "second"], ["y"], kernel_shape=[1, 1], strides=[2, 2]),
    ]
    weights = {"first": random(8, 4, 3, 3), "alone": random(8, 1, 3, 3), "second": random(6, 8, 1, 1)}
    model = graph(nodes, {"x": ["batch", 4, 9, 9]}, ["y"], weights)
    outcome = prune(
        sealed_graph(model, tmp_path / "source"),
        tmp_path / "out",
        calibration(array_samples(x=random(40, 4, 9, 9, seed=8))),
        method="sparsegpt",
    )
    after = weights_of(outcome.artifact)
    assert {name: float((after[name] == 0).mean()) for name in after} == pytest.approx(
        {"first": 0.5, "alone": 0.0, "second": 0.5}, abs=0.01
    )
    assert after["first"].shape == (8, 4, 3, 3)
    assert outcome.details["left"] == ["alone"]


def test_pruning_is_deterministic(tmp_path: Path) -> None:
    source = sealed_graph(language_model(), tmp_path / "source")
    first, second = (prune(source, tmp_path / name, method="sparsegpt").artifact for name in ("first", "second"))
    assert first.digest == second.digest


@pytest.mark.parametrize("method", ["magnitude", "wanda", "sparsegpt"])
def test_a_layer_without_a_multiple_of_four_inputs_is_refused_by_name(tmp_path: Path, method: str) -> None:
    model = graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="classifier")],
        {"x": ["batch", 10]},
        ["y"],
        {"w": random(10, 3)},
    )
    data = calibration(array_samples(x=random(20, 10)))
    with pytest.raises(BadRecipe, match="layer classifier has 10 inputs, which is not a multiple of 4") as caught:
        prune(sealed_graph(model, tmp_path / "source"), tmp_path / "out", data, method=method, pattern="2:4")
    assert caught.value.field == "spec.pipeline[0].prune.pattern"


def test_magnitude_keeps_the_two_largest_of_four_in_a_graph(tmp_path: Path) -> None:
    outcome = prune(sealed_graph(language_model(), tmp_path / "source"), tmp_path / "out", pattern="2:4")
    before, after = weights_of(sealed_graph(language_model(), tmp_path / "again")), weights_of(outcome.artifact)
    rows, kept = before["gate"].T.reshape(-1, 4), after["gate"].T.reshape(-1, 4)
    np.testing.assert_array_equal(np.sort(np.abs(kept), 1)[:, 2:], np.sort(np.abs(rows), 1)[:, 2:])
    np.testing.assert_array_equal((kept == 0).sum(1), 2)


@pytest.mark.parametrize("kind", ["transformers", "onnx"])
def test_magnitude_2_4_keeps_embeddings_and_the_format(tmp_path: Path, kind: Format) -> None:
    folder = tiny_models.bert(tmp_path / "bert")
    source = seal(folder, "transformers", "text-embedding")
    if kind == "onnx":
        (tmp_path / "exported").mkdir()
        source = METHODS["export", ""].run(source, None, StageContext(tmp_path / "exported", "spec")).artifact
    outcome = prune(source, tmp_path / "out", pattern="2:4")
    assert outcome.artifact.format == kind
    assert outcome.details["tensors"] == 12 + (kind == "transformers")  # the pooler is not exported
    if kind == "transformers":
        before, after = load_file(folder / "model.safetensors"), load_file(outcome.artifact.path / "model.safetensors")
        name = "encoder.layer.0.intermediate.dense.weight"
        assert torch.equal((after[name].reshape(-1, 4) == 0).sum(1), torch.full((after[name].numel() // 4,), 2))
        table = "embeddings.word_embeddings.weight"
        assert torch.equal(before[table], after[table])


TOKENS = np.random.default_rng(5).integers(5, 34, (24, 9))
SENTENCES = calibration(
    array_samples(input_ids=TOKENS, attention_mask=np.ones_like(TOKENS), token_type_ids=np.zeros_like(TOKENS))
)
CHECKPOINTS: dict[str, tuple[Callable[[Path], Path], Task, FakeStageData, str]] = {
    "bert": (tiny_models.bert, "text-embedding", SENTENCES, "embeddings.word_embeddings.weight"),
    "llama": (tiny_models.llama, "text-generation", SENTENCES, "model.embed_tokens.weight"),
    "resnet": (
        tiny_models.resnet,
        "image-classification",
        calibration(array_samples(pixel_values=random(24, 1, 16, 16, seed=6))),
        "resnet.embedder.embedder.normalization.weight",
    ),
}


@pytest.mark.parametrize("method", ["wanda", "sparsegpt"])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_pruning_a_checkpoint_keeps_its_format(tmp_path: Path, name: str, method: str) -> None:
    make, task, data, kept = CHECKPOINTS[name]
    source = seal(make(tmp_path / "model"), "transformers", task)
    outcome = prune(source, tmp_path / "out", data, method=method)
    assert outcome.artifact.format == "transformers"
    before, after = load_file(source.path / "model.safetensors"), load_file(outcome.artifact.path / "model.safetensors")
    assert before.keys() == after.keys()
    assert torch.equal(before[kept], after[kept])
    zeros = sum(int((tensor == 0).sum() - (before[name] == 0).sum()) for name, tensor in after.items())
    assert zeros / outcome.details["weights"] == pytest.approx(outcome.details["sparsity"], abs=1e-6)
    assert outcome.details["sparsity"] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("method", ["wanda", "sparsegpt"])
def test_a_checkpoint_and_its_graph_lose_the_same_weights(tmp_path: Path, method: str) -> None:
    source = seal(tiny_models.bert(tmp_path / "bert"), "transformers", "text-embedding")
    (tmp_path / "graph").mkdir()
    exported = METHODS["export", ""].run(source, None, StageContext(tmp_path / "graph", "spec")).artifact
    graph = weights_of(prune(exported, tmp_path / "a", SENTENCES, method=method).artifact)
    checkpoint = load_file(prune(source, tmp_path / "b", SENTENCES, method=method).artifact.path / "model.safetensors")
    for layer in ("attention.self.query", "output.dense"):
        wanted = checkpoint[f"encoder.layer.1.{layer}.weight"].numpy().T
        equal_shaped = [array for array in graph.values() if array.shape == wanted.shape]
        assert any(np.allclose(array, wanted, atol=1e-5) for array in equal_shaped)


def test_initializers_that_are_not_parameters_are_skipped(tmp_path: Path) -> None:
    graph, learned = plain_graph(seal(tiny_models.bert(tmp_path / "bert"), "transformers", "text-embedding"))
    wanda = Prune.model_validate({"method": "wanda", "sparsity": "0.5"})
    every = {layer.weight for layer in prunable(graph, wanda, "spec", learned).layers}
    one = min(every)
    selected = prunable(graph, wanda, "spec", learned - {one})
    assert {layer.weight for layer in selected.layers} == every - {one}
    assert one in selected.left


def test_excludes_use_the_names_of_the_checkpoint(tmp_path: Path) -> None:
    source = seal(tiny_models.bert(tmp_path / "bert"), "transformers", "text-embedding")
    name = "encoder.layer.0.output.dense.weight"
    outcome = prune(source, tmp_path / "out", SENTENCES, method="wanda", exclude=[name])
    assert name in outcome.details["left"]
    before, after = load_file(source.path / "model.safetensors"), load_file(outcome.artifact.path / "model.safetensors")
    assert torch.equal(before[name], after[name])


def test_a_tied_table_is_stored_once_under_its_checkpoint_name(tmp_path: Path) -> None:
    source = seal(tiny_models.llama(tmp_path / "llama"), "transformers", "text-generation")
    graph, learned = plain_graph(source)
    names = [tensor.name for tensor in graph.graph.initializer]
    assert len(names) == len(set(names))
    assert "model.embed_tokens.weight" in learned
    assert "lm_head.weight" not in names
    assert learned <= load_file(source.path / "model.safetensors").keys()
    outcome = prune(source, tmp_path / "out", SENTENCES, method="wanda")
    assert outcome.details["left"] == ["model.embed_tokens.weight"]
