"""Graphs with low-bit weights have the outputs of the dequantized weights."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.methods.quantize.weight_only.graph_writing import write
from compression_runner.methods.quantize.weight_only.packing import pack
from compression_runner.methods.quantize.weight_only.rounding import RoundingMethod, layout, round_weights
from compression_runner.methods.quantize.weight_only.weight_selection import select_weights
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.methods.registry import Quantize
from tests.support.graphs import graph, language_model, random
from tests.support.stage_data import FakeStageData, calibration
from tests.support.stages import apply_method


def calibration_tokens() -> FakeStageData:
    generator = np.random.default_rng(17)
    rows = [{"tokens": generator.integers(0, 40, int(generator.integers(3, 12)))} for _ in range(64)]
    return calibration(SampleSet(rows, "sha256:0", padding={"tokens": 0}))


def run(model: onnx.ModelProto, feed: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, feed)[0])


def apply(model: onnx.ModelProto, into: Path, **parameters: Any) -> Outcome:
    source = into / "source"
    source.mkdir(parents=True)
    onnx.save(model, source / "model.onnx")
    (into / "out").mkdir()
    context = StageContext(into / "out", "spec.pipeline[0].quantize", data=calibration_tokens())
    chosen = Quantize(method="weight-only", **parameters)
    return apply_method("quantize", seal(source, "onnx", "onnx"), chosen, context)


def operators(artifact: Artifact) -> list[str]:
    return [node.op_type for node in onnx.load(artifact.model_file).graph.node]


TOKENS = {"tokens": np.random.default_rng(2).integers(0, 40, (3, 9))}


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("group", [16, 32, 128])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_written_graph_multiplies_by_the_dequantized_weights(bits: int, group: int, symmetric: bool) -> None:
    model = language_model(width=80, hidden=72)
    selection = select_weights(model, embeddings=True)
    method = RoundingMethod(
        "rtn",
        dict.fromkeys(selection.names, bits),
        lambda bits, inputs: layout(bits, inputs, group, symmetric=symmetric),
    )
    rounded = round_weights(model, selection, method, [], pack)
    expected = run(model, TOKENS)  # the weights of the graph are the dequantized weights now
    write(model, selection, rounded.packed)
    # The kernel rounds its activations to eight bits.
    np.testing.assert_allclose(run(model, TOKENS), expected, atol=0.03 * np.abs(expected).max())
    for node in model.graph.node:
        for entry in node.attribute:
            if entry.name == "accuracy_level":
                entry.i = 0
    np.testing.assert_allclose(run(model, TOKENS), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_a_tied_table_is_stored_once(tmp_path: Path) -> None:
    outcome = apply(language_model(400, 80), tmp_path, dtype="int4", group_size=32)
    model = onnx.load(outcome.artifact.model_file)
    assert operators(outcome.artifact).count("GatherBlockQuantized") == 1
    assert operators(outcome.artifact).count("MatMulNBits") == 4
    assert "Transpose" not in operators(outcome.artifact)
    sizes = {tensor.name: len(tensor.raw_data) for tensor in model.graph.initializer}
    # 80 inputs are three groups of 32; the last is padded.
    assert sizes["table.codes"] == 400 * 96 // 2
    assert not any(name.startswith("table") and "codes" not in name and size > 5000 for name, size in sizes.items())


@pytest.mark.parametrize("algorithm", ["gptq", "awq"])
def test_calibrated_algorithms_have_less_error_than_rounding(tmp_path: Path, algorithm: Any) -> None:
    model = language_model(width=64, hidden=96)
    truth = run(model, TOKENS)
    errors = {}
    for name in ("rtn", algorithm):
        outcome = apply(model, tmp_path / name, dtype="int3", group_size=32, algorithm=name)
        errors[name] = float(np.square(run(onnx.load(outcome.artifact.model_file), TOKENS) - truth).sum())
    assert errors[algorithm] < 0.8 * errors["rtn"]


def test_awq_fuses_its_scale_into_the_factor_before_a_layer(tmp_path: Path) -> None:
    source = language_model()
    for tensor in source.graph.initializer:
        if tensor.name in ("scale", "up"):  # a few channels that are much more active than others
            array = numpy_helper.to_array(tensor).copy()
            array[..., :2] *= 30
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    outcome = apply(source, tmp_path, dtype="int3", group_size=16, algorithm="awq")
    model = onnx.load(outcome.artifact.model_file)
    scaled, added = outcome.details["scaledInputs"], outcome.details["addedOperations"]
    # gate and up through `scale`, down by an added operation; never the tied head
    assert (scaled, added) == (2, 1)
    assert sum(node.op_type == "Mul" for node in model.graph.node) == 3
    factor = next(node for node in model.graph.node if node.output[0] == "scaled").input[1]
    assert factor != "scale"


def test_weight_only_quantization_is_deterministic(tmp_path: Path) -> None:
    first, second = (
        apply(language_model(), tmp_path / name, dtype="int4", algorithm="gptq").artifact
        for name in ("first", "second")
    )
    assert first.digest == second.digest


def error(outcome: Outcome, truth: np.ndarray) -> float:
    return float(np.square(run(onnx.load(outcome.artifact.model_file), TOKENS) - truth).sum())


@pytest.mark.parametrize("algorithm", ["rtn", "gptq", "awq"])
def test_mixed_precision_meets_its_budget_with_less_error(tmp_path: Path, algorithm: Any) -> None:
    model = language_model(300, 80, hidden=320)
    for tensor in model.graph.initializer:
        if tensor.name == "up":  # makes the feed-forward block insensitive
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(0.02), tensor.name))
    truth = run(model, TOKENS)
    same = apply(model, tmp_path / "same", dtype="int4", group_size=32, algorithm=algorithm)
    whole = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    budget = round((same.artifact.model_file.stat().st_size + 8000) / whole, 4)
    mixed = apply(model, tmp_path / "mixed", dtype="mixed", budget=budget, group_size=32, algorithm=algorithm)
    assert mixed.artifact.model_file.stat().st_size <= budget * whole
    assert len(mixed.details["bits"]) > 1
    assert error(mixed, truth) < 0.8 * error(same, truth)


def test_a_large_budget_keeps_sensitive_weights_as_floats(tmp_path: Path) -> None:
    outcome = apply(language_model(), tmp_path, dtype="mixed", budget=0.9)
    assert "the budget allows it" in outcome.details["left"].values()


def test_sizes_count_weights_in_any_field(tmp_path: Path) -> None:
    """Some exporters write lists of floats instead of bytes."""
    model = language_model(300, 80, hidden=320)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.FLOAT, values.shape, values.flatten().tolist()))
    outcome = apply(model, tmp_path, dtype="mixed", budget=0.2, group_size=32)
    whole = sum(4 * int(np.prod(tensor.dims)) for tensor in model.graph.initializer)
    assert outcome.artifact.model_file.stat().st_size <= 0.2 * whole


def test_a_budget_below_two_bits_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"still has 0\.\d+ of its size") as refused:
        apply(language_model(), tmp_path, dtype="mixed", budget=0.01)
    assert refused.value.field == "spec.pipeline[0].quantize.budget"


def test_embeddings_and_output_layer_stay_floats_without_embeddings(tmp_path: Path) -> None:
    outcome = apply(language_model(), tmp_path, dtype="int4", embeddings=False)
    assert operators(outcome.artifact).count("MatMulNBits") == 3
    assert "GatherBlockQuantized" not in operators(outcome.artifact)
    assert outcome.details["left"] == {"table": "embeddings: false"}


def test_a_gemm_keeps_its_bias_and_an_untied_table_is_not_padded(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("Gather", ["table", "tokens"], ["states"]),
        node("Gemm", ["states", "w", "b"], ["y"], transB=1),
    ]
    weights = {"table": random(40, 48, seed=1), "w": random(12, 48, seed=2), "b": random(12, seed=3)}
    model = graph(nodes, {"tokens": ["batch"]}, ["y"], weights, {"tokens": TensorProto.INT64})
    feed = {"tokens": np.arange(7)}
    outcome = apply(model, tmp_path, dtype="int8", group_size=32)
    written = onnx.load(outcome.artifact.model_file)
    expected = run(model, feed)
    np.testing.assert_allclose(run(written, feed), expected, atol=0.03 * np.abs(expected).max())
    codes = next(tensor for tensor in written.graph.initializer if tensor.name == "table.codes")
    assert tuple(codes.dims) == (40, 48)


def test_a_weight_with_another_reader_stays_a_float(tmp_path: Path) -> None:
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "w"], ["a"]),
        node("MatMul", ["x", "v"], ["b"]),
        node("ReduceSum", ["v"], ["c"], keepdims=0),
        node("Add", ["b", "c"], ["d"]),
        node("Sum", ["a", "d"], ["y"]),
    ]
    model = graph(nodes, {"x": ["batch", 32]}, ["y"], {"w": random(32, 8), "v": random(32, 8, seed=3)})
    outcome = apply(model, tmp_path, dtype="int4")
    assert outcome.details["left"] == {"v": "something else reads it"}
    assert operators(outcome.artifact).count("MatMulNBits") == 1


def test_half_precision_weights_keep_their_type(tmp_path: Path) -> None:
    model = graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": ["batch", 64]},
        ["y"],
        {"w": random(64, 32).astype(np.float16)},
        {"x": TensorProto.FLOAT16},
    )
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    outcome = apply(model, tmp_path, dtype="int4", group_size=32)
    written = onnx.load(outcome.artifact.model_file)
    feed = {"x": random(5, 64, seed=4).astype(np.float16)}
    scales = next(tensor for tensor in written.graph.initializer if tensor.name == "w.scales")
    assert numpy_helper.to_array(scales).dtype == np.float16
    expected = run(model, feed).astype(np.float32)
    assert np.abs(run(written, feed).astype(np.float32) - expected).max() < 0.2 * np.abs(expected).max()


def test_a_graph_without_quantizable_weights_is_refused(tmp_path: Path) -> None:
    model = graph([helper.make_node("Relu", ["x"], ["y"])], {"x": ["batch", 32]}, ["y"], {})
    with pytest.raises(BadRecipe, match="no MatMul, Gemm or look-up"):
        apply(model, tmp_path, dtype="int4")
