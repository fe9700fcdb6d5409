"""OpenVINO as output format: conversion from ONNX, quantization by nncf, planning and packing."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from pydantic import ValidationError

from compression_runner import artifact as artifacts
from compression_runner.artifact import Artifact, seal
from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.formats.openvino_files import read
from compression_runner.inference.opening import open_predictor
from compression_runner.methods.pack.unpacking import unpack
from compression_runner.pipeline.planner import PipelinePlan
from compression_runner.stages.method import Outcome, StageContext
from compressionjob.methods.pack import Pack
from compressionjob.methods.registry import Quantize
from tests.support import tiny_models
from tests.support.cpu import least_cosine
from tests.support.plans import plan_for
from tests.support.stage_data import FakeStageData, image_samples, token_samples
from tests.support.stages import apply_method


def apply(name: str, artifact: Artifact, parameters: Any, into: Path, samples: Any) -> Outcome:
    into.mkdir()
    return apply_method(name, artifact, parameters, StageContext(into, "spec.pipeline[0]", data=FakeStageData(samples)))


def convolutional(tmp_path: Path) -> Artifact:
    return seal(tiny_models.convolutional(tmp_path / "source"), "onnx", "image-classification")


def answers(artifact: Artifact, feed: dict[str, Any]) -> Any:
    engine: Any = "openvino" if artifact.format == "openvino" else "onnxruntime"
    with open_predictor(artifact.model_file, 1, engine) as predictor:
        return predictor.run(feed)[0]


def methods(plan: PipelinePlan) -> list[str]:
    return [step.method.name for step in plan.steps]


def test_the_conversion_is_planned_before_the_final_pack(bert: Path) -> None:
    prune: dict[str, Any] = {"prune": {"sparsity": "0.5"}}
    plan = plan_for(bert, "text-embedding", prune, {"quantize": {}}, {"pack": {}}, format="openvino")
    assert methods(plan) == ["prune", "export", "quantize", "convert", "pack"]
    assert plan.measured is None
    assert plan.steps[-1].format == "openvino"
    assert methods(plan_for(bert, "text-embedding", prune, format="openvino")) == ["prune", "export", "convert"]
    assert methods(plan_for(bert, "text-embedding", prune, format="onnx")) == ["prune", "export"]
    assert methods(plan_for(bert, "text-embedding", prune, format="auto")) == ["prune"]


def test_quantization_by_nncf_needs_no_conversion(tmp_path: Path) -> None:
    folder = tiny_models.convolutional(tmp_path / "model")
    static = {"quantize": {"method": "static", "backend": "openvino"}}
    plan = plan_for(folder, "image-classification", static, {"pack": {}}, format="openvino")
    assert methods(plan) == ["quantize", "pack"]
    assert [step.format for step in plan.steps] == ["openvino", "openvino"]
    assert plan_for(folder, "image-classification", static, format="auto").fingerprint == plan.steps[0].fingerprint
    with pytest.raises(ValidationError, match=r"spec\.output\.format"):
        plan_for(folder, "image-classification", static, format="onnx")


def test_a_converted_graph_has_equal_outputs_and_packs_losslessly(tmp_path: Path) -> None:
    source = convolutional(tmp_path)
    outcome = apply("convert", source, None, tmp_path / "converted", image_samples(16))
    converted = outcome.artifact
    assert {file.path for file in converted.files if file.weights} == {"model.xml", "model.bin"}
    assert outcome.details["cosine"] > 0.9999
    feed = {"pixel_values": np.random.default_rng(9).normal(size=(3, 1, 12, 12)).astype(np.float32)}
    np.testing.assert_allclose(answers(converted, feed), answers(source, feed), atol=1e-4)
    packed = apply("pack", converted, Pack(codec="zstd"), tmp_path / "packed", image_samples(1)).artifact
    assert packed.size_bytes < converted.size_bytes
    restored = unpack(artifacts.load(packed.path), tmp_path / "restored")
    assert restored.digest == converted.digest
    assert restored.size_bytes == converted.size_bytes
    assert answers(restored, feed).shape == (3, 3)


def test_operators_unknown_to_openvino_are_refused(tmp_path: Path) -> None:
    folder = tiny_models.perceptron(tmp_path / "source")
    model = onnx.load(folder / "model.onnx")
    model.graph.node[1].op_type = "Det"
    onnx.save(model, folder / "model.onnx")
    samples = image_samples(1)
    with pytest.raises(BadRecipe, match=r"OpenVINO cannot read the graph.*spec\.output\.format: onnx"):
        apply("convert", seal(folder, "onnx", "onnx"), None, tmp_path / "out", samples)


def test_nncf_keeps_classes_of_a_convolutional_network(tmp_path: Path) -> None:
    source = convolutional(tmp_path)
    parameters = Quantize.model_validate({"method": "static", "backend": "openvino"})
    outcome = apply("quantize", source, parameters, tmp_path / "out", image_samples())
    assert outcome.artifact.format == "openvino"
    assert outcome.details["quantizers"] >= 2
    types = {
        str(op.get_element_type())
        for op in read(outcome.artifact.model_file).get_ops()
        if op.get_type_name() == "Constant"
    }
    assert "<Type: 'int8_t'>" in types
    feed = {"pixel_values": np.random.default_rng(9).normal(size=(64, 1, 12, 12)).astype(np.float32)}
    old, new = answers(source, feed), answers(outcome.artifact, feed)
    assert (old.argmax(1) == new.argmax(1)).mean() > 0.95
    assert not np.array_equal(old, new)
    again = apply("quantize", source, parameters, tmp_path / "again", image_samples())
    assert again.artifact.digest == outcome.artifact.digest


def test_nncf_keeps_embeddings_of_a_transformer(exported: Artifact, tmp_path: Path) -> None:
    parameters = Quantize.model_validate({"method": "static", "backend": "openvino", "calibration": "minmax"})
    outcome = apply("quantize", exported, parameters, tmp_path / "out", token_samples(12))
    assert outcome.details["transformer"]
    ids = np.random.default_rng(3).integers(5, 30, (4, 12))
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    old, new = answers(exported, feed), answers(outcome.artifact, feed)
    cosines = (old * new).sum(1) / np.linalg.norm(old, axis=1) / np.linalg.norm(new, axis=1)
    assert cosines.min() > 0.98
    assert (outcome.artifact.path / "tokenizer.json").is_file()


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_static_quantization_keeps_logits_of_a_language_model(
    exported_llama: Artifact, tmp_path: Path, backend: str
) -> None:
    random = np.random.default_rng(5)
    rows = [random.integers(5, 30, int(length)) for length in random.integers(4, 16, 20)]
    samples = SampleSet(
        samples=[{"input_ids": ids, "attention_mask": np.ones_like(ids)} for ids in rows],
        digest="sha256:0",
        padding={"input_ids": 0, "attention_mask": 0},
    )
    parameters = Quantize.model_validate({"method": "static", "backend": backend})
    result = apply("quantize", exported_llama, parameters, tmp_path / "out", samples).artifact
    engine: Any = "openvino" if backend == "openvino" else "onnxruntime"
    with (
        open_predictor(exported_llama.model_file, 1, engine) as before,
        open_predictor(result.model_file, 1, engine) as after,
    ):
        feed = samples.batch([0], before.inputs)
        old, new = (np.asarray(side.run(feed, ["logits"])[0])[0] for side in (before, after))
    cosines = (old * new).sum(1) / np.linalg.norm(old, axis=1) / np.linalg.norm(new, axis=1)
    assert cosines.min() > least_cosine(0.97)
