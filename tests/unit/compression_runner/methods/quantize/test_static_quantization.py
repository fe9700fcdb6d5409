"""Static INT8: ranges of activations, selection of nodes, fidelity, and accuracy control."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.inference.integer_products import saturates
from compression_runner.methods.quantize.static.accuracy import TooLossy, restore_floats
from compression_runner.methods.quantize.static.embedding import quantize_rows
from compression_runner.methods.quantize.static.fidelity import Fidelity, GraphOutputs, compare
from compression_runner.methods.quantize.static.node_selection import mixed_range_nodes, select_nodes
from compression_runner.methods.quantize.static.preparing import prepare
from compression_runner.methods.quantize.static.ranges import (
    Range,
    entropy_range,
    finite_range,
    histogram,
    percentile_range,
)
from compression_runner.methods.quantize.static.request import StaticRequest, require_fidelity
from compressionjob.methods.registry import Quantize
from compressionjob.spec import Task
from tests.support import graphs, tiny_models
from tests.support.stage_data import array_samples, image_samples, token_samples
from tests.support.stages import answers, quantize_static, sealed_graph


def convolutional(tmp_path: Path, task: Task = "image-classification") -> Artifact:
    return seal(tiny_models.convolutional(tmp_path / "source"), "onnx", task)


def test_percentile_drops_the_same_fraction_at_both_ends() -> None:
    values = np.concatenate([np.linspace(-1, 1, 100_000), [50.0]])
    full = finite_range(values)
    assert full == Range(-1.0, 50.0)
    range_ = percentile_range(histogram(values, full), full, outside=0.01)
    bin_width = 51 / 2048
    assert range_.low == pytest.approx(-1 + 0.01, abs=bin_width)
    assert range_.high == pytest.approx(1 - 0.01, abs=bin_width)


def test_entropy_clips_an_outlier_and_keeps_a_uniform_range() -> None:
    random = np.random.default_rng(3)
    even = random.uniform(-1, 1, 50_000)
    full = finite_range(even)
    assert full is not None
    kept = entropy_range(histogram(even, full), full)
    assert kept.high > 0.95
    lonely = np.append(random.normal(size=50_000), 80.0)
    full = finite_range(lonely)
    assert full is not None
    cut = entropy_range(histogram(lonely, full), full)
    assert 2.5 < cut.high < 10
    assert cut.low == pytest.approx(max(full.low, -cut.high))


def test_entropy_ignores_zeros_of_a_relu() -> None:
    values = np.maximum(np.random.default_rng(3).normal(size=50_000), 0.0)
    full = finite_range(values)
    assert full is not None
    range_ = entropy_range(histogram(values, full), full)
    assert range_.low == 0.0
    assert range_.high > 3.0


def test_values_that_are_not_finite_have_no_range() -> None:
    assert finite_range(np.array([np.nan, np.inf])) is None
    assert finite_range(np.array([np.nan, 1.0, -np.inf, 2.0])) == Range(1.0, 2.0)


def test_a_convolutional_network_is_quantized_from_end_to_end(tmp_path: Path) -> None:
    model = prepare(tiny_models.convolutional(tmp_path) / "model.onnx")
    assert not [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    selection = select_nodes(model)
    assert not selection.transformer
    assert {"Conv", "Add", "GlobalAveragePool", "Gemm"} <= set(selection.nodes.values())


def test_only_weighted_products_of_a_transformer_are_quantized(exported: Artifact) -> None:
    selection = select_nodes(prepare(exported.model_file))
    assert selection.transformer
    assert set(selection.nodes.values()) <= {"MatMul", "Gemm"}
    # Four projections and two dense layers in each of two blocks; the products in attention have no weights.
    assert len(selection.nodes) == 12


@pytest.mark.parametrize("calibration", ["minmax", "entropy", "percentile"])
def test_int8_keeps_classes_of_a_convolutional_network(tmp_path: Path, calibration: str) -> None:
    source = convolutional(tmp_path)
    outcome = quantize_static(source, image_samples(), tmp_path / "out", calibration=calibration)
    feed = {"pixel_values": np.random.default_rng(9).normal(size=(64, 1, 12, 12)).astype(np.float32)}
    old, new = answers(source, feed), answers(outcome.artifact, feed)
    assert not np.array_equal(old, new)
    assert (old.argmax(1) == new.argmax(1)).mean() > 0.95
    assert outcome.details["quantizedOperators"]["Conv"] == 2
    types = {t.data_type for t in onnx.load(outcome.artifact.model_file).graph.initializer if len(t.dims) == 4}
    assert types == {onnx.TensorProto.INT8}


def test_int8_keeps_embeddings_of_a_transformer_with_int8_tables(exported: Artifact, tmp_path: Path) -> None:
    outcome = quantize_static(exported, token_samples(), tmp_path / "out")
    ids = np.random.default_rng(3).integers(5, 30, (4, 12))
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    old, new = answers(exported, feed), answers(outcome.artifact, feed)
    cosines = (old * new).sum(1) / np.linalg.norm(old, axis=1) / np.linalg.norm(new, axis=1)
    assert cosines.min() > 0.99
    assert outcome.details["quantizedOperators"] == {"Gather": 2, "MatMul": 12}
    large = [t for t in onnx.load(outcome.artifact.model_file).graph.initializer if int(np.prod(t.dims)) >= 1024]
    assert {t.data_type for t in large} == {onnx.TensorProto.INT8}
    assert outcome.artifact.size_bytes < 0.6 * exported.size_bytes


def test_static_quantization_is_deterministic(tmp_path: Path) -> None:
    source = convolutional(tmp_path)
    first = quantize_static(source, image_samples(), tmp_path / "first", calibration="percentile")
    second = quantize_static(source, image_samples(), tmp_path / "second", calibration="percentile")
    assert first.artifact.digest == second.artifact.digest
    third = quantize_static(source, image_samples(4), tmp_path / "third", calibration="percentile")
    assert third.artifact.digest != first.artifact.digest


def test_a_quantized_model_is_refused(tmp_path: Path) -> None:
    once = quantize_static(convolutional(tmp_path), image_samples(), tmp_path / "once").artifact
    with pytest.raises(BadRecipe, match="quantized already"):
        quantize_static(once, image_samples(), tmp_path / "twice")


def test_a_result_with_unrelated_outputs_is_refused(tmp_path: Path) -> None:
    """With ranges from positive inputs, and validation on negative ones, every activation is clipped at zero."""
    sealed = seal(tiny_models.perceptron(tmp_path / "source"), "onnx", "onnx")
    random = np.random.default_rng(1)
    # Every third batch of 8 samples is for validation, the others are for ranges.
    signs = [-1.0 if (index // 8) % 3 == 0 else 1.0 for index in range(8 * 16)]
    rows = [{"x": (np.abs(random.normal(size=64)) * sign).astype(np.float32)} for sign in signs]
    with pytest.raises(BadRecipe, match="outputs of the quantized model differ"):
        quantize_static(
            sealed, SampleSet(samples=rows, digest="sha256:0"), tmp_path / "out", accuracyControl={"maxDrop": "1"}
        )


def test_each_row_of_a_table_has_its_own_scale() -> None:
    table = np.array([[1.0, -2.0], [0.0, 0.0], [1e-3, 5e-4]], np.float32)
    codes, scales = quantize_rows(table)
    np.testing.assert_array_equal(codes, [[64, -127], [0, 0], [127, 64]])
    np.testing.assert_allclose(codes * scales, table, atol=2 / 254)
    np.testing.assert_allclose(codes[2] * scales[2], table[2], atol=1e-3 / 254)


def additive_loss(cost: dict[str, float]) -> Any:
    """Return a measure whose loss is the sum of the costs of the INT8 parts, and a list of its calls."""
    requested: list[Collection[str]] = []

    def measure(parts: Collection[str]) -> Fidelity:
        requested.append(parts)
        return Fidelity(1.0 - sum(cost[part] for part in parts), None)

    return measure, requested


def test_the_fewest_most_sensitive_parts_are_restored() -> None:
    cost = {"a": 0.001, "b": 0.2, "c": 0.002, "d": 0.05, "e": 0.0}
    measure, _ = additive_loss(cost)
    kept = restore_floats(list(cost), measure, 0.004)
    assert kept.parts == ("a", "c", "e")
    assert list(kept.restored) == ["b", "d"]
    assert kept.fidelity.drop == pytest.approx(0.003)


def test_no_part_is_restored_within_the_limit() -> None:
    measure, requested = additive_loss({"a": 0.001, "b": 0.002})
    kept = restore_floats(["a", "b"], measure, 0.004)
    assert kept.parts == ("a", "b")
    assert kept.restored == {}
    assert len(requested) == 1


def test_a_limit_that_no_part_meets_is_refused() -> None:
    measure, _ = additive_loss({"a": 0.1, "b": 0.2})
    with pytest.raises(TooLossy):
        restore_floats(["a", "b"], measure, 0.05)


def test_accuracy_control_of_a_real_graph_ends_within_the_limit(tmp_path: Path) -> None:
    source = convolutional(tmp_path, "onnx")
    free = quantize_static(source, image_samples(), tmp_path / "free")
    loss = 1.0 - free.details["calibrationCosine"]
    assert loss > 0
    limit = f"{loss / 3:.9f}"
    held = quantize_static(source, image_samples(), tmp_path / "held", accuracyControl={"maxDrop": limit})
    assert 1.0 - held.details["calibrationCosine"] <= float(limit)
    assert held.details["floatAgain"]
    with pytest.raises(BadRecipe, match=r"accuracyControl\.maxDrop.*no part of the model"):
        quantize_static(source, image_samples(), tmp_path / "none", accuracyControl={"maxDrop": "0"})


def test_fidelity_counts_changed_classes_and_outputs_that_are_not_finite() -> None:
    old, new = GraphOutputs(), GraphOutputs()
    old.add([np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]], np.float32)])
    new.add([np.array([[1.0, 0.0], [1.0, 0.0], [np.nan, 1.0]], np.float32)])
    fidelity = compare(old, new, classifies=True)
    assert fidelity.agreement == pytest.approx(1 / 3)
    assert fidelity.cosine == pytest.approx((1.0 + 0.0 - 1.0) / 3)
    assert compare(old, old, classifies=False).drop == pytest.approx(0.0)


@pytest.mark.parametrize("shape", [(0, 3), (1, 0, 4)])
def test_outputs_without_rows_are_not_compared(shape: tuple[int, ...]) -> None:
    empty = GraphOutputs()
    empty.add([np.zeros(shape, np.float32)])
    assert not compare(empty, empty, classifies=False).compared


def test_fidelity_is_that_of_the_worst_channels() -> None:
    drawn = np.random.default_rng(0).random((30, 12, 4)).astype(np.float32)
    drawn[:, :4] *= 640
    destroyed = drawn.copy()
    destroyed[:, 4:] = destroyed[:, 4:] > 0.9
    old, new = GraphOutputs(), GraphOutputs()
    assert old.add([drawn])
    assert new.add([destroyed])
    assert compare(old, new, classifies=False).cosine < 0.6
    numbers, others = GraphOutputs(), GraphOutputs()
    numbers.add([drawn[:, 5, :1]])
    others.add([drawn[:, 5, :1] * 9])
    assert compare(numbers, others, classifies=False).cosine < 0.9


def _detector(factor: float) -> onnx.ModelProto:
    """Return a graph that joins boxes from 0 to `factor` and scores from 0 to 1, and reshapes both together."""
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "body"], ["features"], name="body"),
        node("Relu", ["features"], ["active"], name="relu"),
        node("Conv", ["active", "box"], ["box_logits"], name="box"),
        node("Sigmoid", ["box_logits"], ["boxes_in_one"], name="box_sigmoid"),
        node("Mul", ["boxes_in_one", "factor"], ["boxes"], name="box_scale"),
        node("Conv", ["active", "class"], ["class_logits"], name="class"),
        node("Sigmoid", ["class_logits"], ["scores"], name="class_sigmoid"),
        node("Concat", ["boxes", "scores"], ["joined"], name="join", axis=1),
        node("Reshape", ["joined", "shape"], ["out"], name="reshape"),
    ]
    weights = {
        "body": graphs.random(8, 3, 1, 1, seed=1),
        "box": graphs.random(4, 8, 1, 1, seed=2),
        "class": graphs.random(6, 8, 1, 1, seed=3),
        "factor": np.float32(factor),
        "shape": np.array([0, 10, -1], np.int64),
    }
    return graphs.graph(nodes, {"x": ["batch", 3, 4, 4]}, ["out"], weights)


def test_branches_of_different_range_do_not_share_a_scale(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((40, 3, 4, 4)).astype(np.float32)
    artifact = sealed_graph(_detector(640.0), tmp_path / "source")
    outcome = quantize_static(artifact, array_samples(x=pixels), tmp_path / "int8")
    assert outcome.details["floatForRange"] == ["join", "reshape"]
    assert outcome.details["quantizedOperators"]["Conv"] == 3
    before, after = (answers(one, {"x": pixels})[:, 4:] for one in (artifact, outcome.artifact))
    assert np.abs(before - after).max() < (0.2 if saturates() else 0.1), "with the boxes' scale a score is 0 or 2.5"


def test_branches_of_similar_range_share_a_scale(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).random((40, 3, 4, 4)).astype(np.float32)
    outcome = quantize_static(
        sealed_graph(_detector(2.0), tmp_path / "source"), array_samples(x=pixels), tmp_path / "int8"
    )
    assert "floatForRange" not in outcome.details
    assert outcome.details["quantizedOperators"]["Concat"] == 1


def test_readers_of_mixed_range_branches_stay_floats() -> None:
    model = onnx.shape_inference.infer_shapes(_detector(640.0))
    selection = select_nodes(model)
    names = selection.calibrated_values(model)
    equal = {name: Range(0.0, 1.0) for name in names}
    assert mixed_range_nodes(model, selection, equal) == ()
    assert mixed_range_nodes(model, selection, equal | {"boxes": Range(0.0, 640.0)}) == ("join", "reshape")
    assert mixed_range_nodes(model, selection, equal | {"scores": Range(0.0, 0.0)}) == (), "zeros lose nothing"
    model.graph.node.insert(8, onnx.helper.make_node("Conv", ["joined", "last"], ["more"], name="last"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(graphs.random(2, 10, 1, 1), "last"))
    selection = select_nodes(onnx.shape_inference.infer_shapes(model))
    assert mixed_range_nodes(model, selection, equal | {"boxes": Range(0.0, 640.0)}) == ("join", "last", "reshape")


def test_outputs_with_different_numbers_of_rows_are_not_compared() -> None:
    old, new = GraphOutputs(), GraphOutputs()
    old.add([np.ones((3, 2), np.float32)])
    new.add([np.ones((2, 2), np.float32)])
    fidelity = compare(old, new, classifies=False)
    assert not fidelity.compared
    control = Quantize.model_validate({"method": "static", "accuracyControl": {"maxDrop": "0.01"}})
    request = StaticRequest(
        Path("m.onnx"), "onnx", image_samples(), control, "spec.pipeline[0].quantize", lambda _share: None
    )
    with pytest.raises(BadRecipe, match=r"quantize\.accuracyControl.*remove accuracyControl"):
        require_fidelity(request, fidelity)
    require_fidelity(replace(request, parameters=Quantize.model_validate({"method": "static"})), fidelity)
