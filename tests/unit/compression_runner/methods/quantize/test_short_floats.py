"""FP8 around products and bfloat16 weights: rounding and outputs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper
from safetensors.torch import load_file
from transformers import BertModel

from compression_runner.artifact import Artifact, seal
from compression_runner.formats.source.inspection import inspect
from compression_runner.methods.quantize.static.float8 import encode
from compression_runner.pipeline.planner import make_plan
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.methods.registry import Quantize
from compressionjob.spec import CompressionJobSpec
from tests.support import tiny_models
from tests.support.graphs import graph, random
from tests.support.plans import open_store
from tests.support.stage_data import image_samples, token_samples
from tests.support.stages import answers, apply_method, quantize_static, sealed_graph


def cast(artifact: Artifact, into: Path, dtype: Any = "bfloat16") -> Outcome:
    into.mkdir()
    parameters = Quantize(method="cast", dtype=dtype)
    return apply_method("quantize", artifact, parameters, StageContext(into, "spec.pipeline[0].quantize"))


def tokens() -> dict[str, Any]:
    ids = np.random.default_rng(3).integers(5, 30, (4, 12))
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}


def cosines(old: Any, new: Any) -> Any:
    return (old * new).sum(1) / np.linalg.norm(old, axis=1) / np.linalg.norm(new, axis=1)


def test_fp8_weights_use_the_full_range_without_clipping() -> None:
    weights = np.array([[448.0, -3.0, 0.0], [0.01, 0.004, 0.0]], np.float32).T
    codes, scale = encode(weights, axis=1)
    np.testing.assert_allclose(scale, [1.0, 0.01 / 448], rtol=1e-6)
    np.testing.assert_allclose(codes.astype(np.float32)[:, 0], [448.0, -3.0, 0.0])
    # Three bits of mantissa: rounding is off by at most a sixteenth.
    restored = codes.astype(np.float32) * scale
    np.testing.assert_allclose(restored, weights, rtol=1 / 16)
    single, one = encode(weights, axis=None)
    assert one.shape == ()
    assert float(one) == 1.0
    assert single.shape == weights.shape
    assert np.isfinite(encode(np.zeros((2, 2), np.float32), axis=0)[0].astype(np.float32)).all()


@pytest.mark.parametrize("granularity", ["channel", "tensor"])
def test_float8_keeps_classes_of_a_convolutional_network(tmp_path: Path, granularity: str) -> None:
    source = seal(tiny_models.convolutional(tmp_path / "source"), "onnx", "image-classification")
    outcome = quantize_static(source, image_samples(), tmp_path / "out", dtype="float8", granularity=granularity)
    feed = {"pixel_values": np.random.default_rng(9).normal(size=(64, 1, 12, 12)).astype(np.float32)}
    old, new = answers(source, feed), answers(outcome.artifact, feed)
    assert 0 < np.abs(old - new).max() < 0.2 * np.abs(old).max()
    assert (old.argmax(1) == new.argmax(1)).mean() > 0.9
    assert outcome.details["quantizedOperators"] == {"Conv": 2, "Gemm": 1}
    model = onnx.load(outcome.artifact.model_file)
    onnx.checker.check_model(model, full_check=True)
    # onnxruntime's optimizer must not remove a ReLU.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(str(outcome.artifact.model_file), options, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(plain.run(None, feed)[0], new, atol=1e-3)
    large = {t.data_type for t in model.graph.initializer if len(t.dims) == 4}
    assert large == {TensorProto.FLOAT8E4M3FN}


def test_float8_keeps_embeddings_of_a_transformer(exported: Artifact, tmp_path: Path) -> None:
    outcome = quantize_static(exported, token_samples(), tmp_path / "out", dtype="float8")
    assert cosines(answers(exported, tokens()), answers(outcome.artifact, tokens())).min() > 0.99
    assert outcome.artifact.size_bytes < 0.6 * exported.size_bytes
    again = quantize_static(exported, token_samples(), tmp_path / "again", dtype="float8")
    assert again.artifact.digest == outcome.artifact.digest


def test_a_bfloat16_directory_states_its_type_and_loads(bert: Path, tmp_path: Path) -> None:
    source = seal(bert, "transformers", "text-embedding")
    outcome = cast(source, tmp_path / "out")
    assert outcome.artifact.format == "transformers"
    before, after = load_file(bert / "model.safetensors"), load_file(outcome.artifact.path / "model.safetensors")
    assert {tensor.dtype for tensor in after.values()} == {torch.bfloat16}
    assert all(torch.equal(before[name].to(torch.bfloat16), tensor) for name, tensor in after.items())
    assert json.loads((outcome.artifact.path / "config.json").read_text())["dtype"] == "bfloat16"
    loaded = BertModel.from_pretrained(outcome.artifact.path)
    assert loaded.dtype == torch.bfloat16
    assert outcome.artifact.size_bytes < 0.55 * source.size_bytes


def test_a_bfloat16_graph_is_smaller_and_runs(exported: Artifact, tmp_path: Path) -> None:
    outcome = cast(exported, tmp_path / "out")
    assert outcome.artifact.format == "onnx"
    old, new = answers(exported, tokens()), answers(outcome.artifact, tokens())
    assert not np.array_equal(old, new)
    assert cosines(old, new).min() > 0.9995
    model = onnx.load(outcome.artifact.model_file)
    onnx.checker.check_model(model, full_check=True)
    before = {t.name: numpy_helper.to_array(t) for t in onnx.load(exported.model_file).graph.initializer}
    shortened = [t for t in model.graph.initializer if t.data_type == TensorProto.BFLOAT16]
    assert len(shortened) == outcome.details["bfloat16Tensors"] > 10
    for tensor in shortened:
        expected = torch.from_numpy(before[tensor.name.removesuffix(".bfloat16")].copy()).to(torch.bfloat16).float()
        np.testing.assert_array_equal(numpy_helper.to_array(tensor).astype(np.float32), expected.numpy())


@pytest.mark.parametrize(
    ("axes", "weights", "first"),
    [([1, 0, 2], (6, 4), False), ([1, 2, 0], (8, 4), False), ([1, 0, 2], (4, 3), True), ([1, 0, 2], (6,), False)],
)
def test_a_product_behind_rotated_axes_loads_in_float16(
    axes: list[int], weights: tuple[int, ...], first: bool, tmp_path: Path
) -> None:
    """onnxruntime ends the process for the plain graph: a test that fails ends with it."""
    sizes = {0: 8, 1: 3, 2: 6}
    nodes = [
        onnx.helper.make_node("Transpose", ["x"], ["turned"], perm=axes),
        onnx.helper.make_node("Identity", ["weights"], ["same"]),
        onnx.helper.make_node("MatMul", ["same", "turned"] if first else ["turned", "same"], ["y"]),
    ]
    if first:
        sizes[0] = 3
    shape = [sizes[axis] for axis in range(3)]
    source = sealed_graph(graph(nodes, {"x": shape}, ["y"], {"weights": random(*weights)}), tmp_path / "source")
    outcome = cast(source, tmp_path / "out", "float16")
    x = random(*shape, seed=8)
    np.testing.assert_allclose(answers(outcome.artifact, {"x": x}), answers(source, {"x": x}), atol=0.02)
    onnx.checker.check_model(str(outcome.artifact.model_file), full_check=True)


def test_the_export_is_planned_before_the_cast(bert: Path) -> None:
    """An export after the cast would be float32 again."""

    def methods(wanted: str) -> list[tuple[str, str]]:
        spec = CompressionJobSpec.model_validate(
            {
                "model": {"source": f"file://{bert}", "task": "text-embedding"},
                "data": {"evaluation": {"source": "file:///data.parquet"}},
                "pipeline": [{"quantize": {"method": "cast", "dtype": "bfloat16"}}],
                "output": {"destination": "file:///out", "format": wanted},
            }
        )
        plan = make_plan(spec, inspect(open_store(bert), spec.model))
        return [(step.method.name, step.format) for step in plan.steps]

    assert methods("auto") == [("quantize", "transformers")]
    assert methods("onnx") == [("export", "onnx"), ("quantize", "onnx")]
    assert methods("openvino") == [("export", "onnx"), ("quantize", "onnx"), ("convert", "openvino")]
