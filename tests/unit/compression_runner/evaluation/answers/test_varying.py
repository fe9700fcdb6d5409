"""Answers whose size differs between samples, and whole measurements of such models."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.evaluation.answers.answers import answers
from compression_runner.evaluation.answers.batch_axes import batch_of_inputs
from compression_runner.evaluation.answers.varying import VaryingAnswers, as_rows, may_vary, varying_answers
from compression_runner.evaluation.evaluate import measure
from compression_runner.evaluation.measurements import MeasuredModel, Measurements
from compression_runner.inference.onnx import OnnxPredictor
from tests.support.graphs import graph, random
from tests.support.plans import onnx_spec
from tests.support.short_measurements import measure_shortly
from tests.support.stage_data import array_samples

node = helper.make_node


def detector(place: Path, scale: float = 1.0) -> Path:
    """Return a detector of four boxes for each sample of 8 numbers, which ends in NonMaxSuppression."""
    nodes = [
        node("MatMul", ["x", "w"], ["scores"]),
        node("NonMaxSuppression", ["boxes", "scores", "most", "iou", "least"], ["selected"]),
    ]
    weights = {
        "w": scale * random(8, 4),
        "boxes": np.array([[[i, i, i + 1, i + 1] for i in range(4)]], np.float32),
        "most": np.array([4]),
        "iou": np.array([0.5], np.float32),
        "least": np.array([0.5], np.float32),
    }
    made = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 8])],
        [helper.make_tensor_value_info("selected", TensorProto.INT64, ["n", 3])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), place)
    return place


def measured(
    monkeypatch: pytest.MonkeyPatch, models: tuple[Path, Path], data: SampleSet, **changes: Any
) -> Measurements:
    measure_shortly(monkeypatch)
    return measure(onnx_spec(benchmark={"timeLimit": "1s", "threads": 1}, **changes), *_subjects(models), data)


def _subjects(models: tuple[Path, Path]) -> tuple[MeasuredModel, MeasuredModel]:
    return MeasuredModel(models[0], 2000), MeasuredModel(models[1], 1000)


def test_detections_are_matched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    models = detector(tmp_path / "a.onnx"), detector(tmp_path / "b.onnx", 0.8)
    measurements = measured(monkeypatch, models, array_samples(x=random(20, 1, 8)))
    assert measurements.quality_metric == "matches"
    assert 0.5 < measurements.compressed.quality["matches"] < 1.0
    assert measurements.baseline.quality == {"matches": 1.0}


def test_one_late_sample_of_another_size_decides_the_metric(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    models = detector(tmp_path / "a.onnx"), detector(tmp_path / "b.onnx", 1.01)
    rows = np.full((400, 1, 8), 0.0, np.float32)
    rows[:] = 3 * np.sign(random(8, 4)[:, 0])
    rows[np.random.default_rng(0).permutation(400)[-1]] = 0.0  # the order in which samples are answered
    measurements = measured(monkeypatch, models, array_samples(x=rows), sla={"quality": {"maxDrop": "0.5"}})
    assert measurements.quality_metric == "matches"


def test_a_result_of_another_size_fails_with_the_outputs_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The baseline gives each sample four boxes; the job compares values one by one."""
    rows = np.tile(3 * np.sign(random(8, 4)[:, :1].T), (20, 1, 1)).astype(np.float32)
    models = detector(tmp_path / "a.onnx"), detector(tmp_path / "b.onnx", -0.9)
    sla = {"quality": {"metric": "cosine", "maxDrop": "0.5"}}
    spec = onnx_spec(benchmark={"timeLimit": "1s", "threads": 1}, sla=sla)
    measure_shortly(monkeypatch)
    measurements = measure(spec, *_subjects(models), array_samples(x=rows))
    judged = measurements.judgement(spec.sla)
    assert judged.verdict == "Fail"
    assert "output selected has another size than the baseline's" in judged.sentence()
    assert measurements.anomalies[-1] == "output selected has another size than the baseline's"
    assert measured(monkeypatch, models, array_samples(x=rows)).quality_metric == "matches"


@pytest.mark.parametrize("shape", [[0, 1, 6], [0, 3, 6], [-1, 16]], ids=["fewer", "more", "no whole number"])
def test_a_result_whose_outputs_differ_from_their_stated_size_fails(
    shape: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two outputs, of which the second is the one whose size differs."""
    nodes = [
        node("MatMul", ["x", "w"], ["fine"]),
        node("MatMul", ["x", "v"], ["h"]),
        node("Reshape", ["h", "s"], ["parts"]),
    ]
    for name, sizes in (("a", [0, 2, 6]), ("b", shape)):
        width = 24 if sizes[0] else 6 * sizes[1]  # 24: six rows for the four samples of a batch
        weights = {"w": random(8, 12), "v": random(8, width), "s": np.array(sizes)}
        onnx.save(graph(nodes, {"x": ["batch", 8]}, ["fine", "parts"], weights), tmp_path / f"{name}.onnx")
    spec = onnx_spec(benchmark={"timeLimit": "1s", "threads": 1, "batchSize": 4}, sla={"quality": {"maxDrop": "0.5"}})
    measure_shortly(monkeypatch)
    measurements = measure(spec, *_subjects((tmp_path / "a.onnx", tmp_path / "b.onnx")), array_samples(x=random(20, 8)))
    judged = measurements.judgement(spec.sla)
    assert judged.verdict == "Fail"
    assert "the compressed model's output parts has another size than the baseline's" in judged.sentence()


def test_data_without_detections_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    models = detector(tmp_path / "a.onnx", 0.0), detector(tmp_path / "b.onnx", 0.01)
    with pytest.raises(InvalidInput, match=r"no sample has a row in any output \(selected\)"):
        measured(monkeypatch, models, array_samples(x=random(20, 1, 8)))


def test_answers_of_one_size_are_compared_by_value(tmp_path: Path) -> None:
    made = graph([node("MatMul", ["x", "w"], ["h"]), node("Reshape", ["h", "s"], ["y"])], {"x": [None, 4]}, ["y"], {
        "w": random(4, 6), "s": np.array([-1, 2])
    })  # fmt: skip
    onnx.save(made, tmp_path / "m.onnx")
    rows = random(5, 4)
    with OnnxPredictor(tmp_path / "m.onnx", 1) as predictor:
        assert may_vary(predictor.inputs, predictor.outputs, "onnx", 1)
        assert not may_vary(predictor.inputs, predictor.outputs, "onnx", 2)
        kept = varying_answers(predictor, array_samples(x=rows), "onnx")
        pair = as_rows(predictor.outputs, kept, kept)
    assert not isinstance(pair, VaryingAnswers)
    assert np.allclose(pair[0], rows @ random(4, 6), atol=1e-5)


def test_values_have_the_same_order_if_sizes_may_vary(tmp_path: Path) -> None:
    """Several rows for each sample, which the second dimension of the output counts."""
    nodes = [
        node("MatMul", ["x", "w"], ["h"]),
        node("Reshape", ["h", "s"], ["rows"]),
        node("Transpose", ["rows"], ["y"], perm=[1, 0]),
    ]
    made = graph(nodes, {"x": [None, 4]}, ["y"], {"w": random(4, 6), "s": np.array([-1, 2])})
    onnx.save(made, tmp_path / "m.onnx")
    data = array_samples(x=random(5, 4))
    with OnnxPredictor(tmp_path / "m.onnx", 1) as predictor:
        predictor.outputs = tuple(replace(info, axis=1) for info in predictor.outputs)
        kept = varying_answers(predictor, data, "onnx")
        rows = as_rows(predictor.outputs, kept, kept)
        alone, together = (answers(predictor, data, "onnx", size) for size in (1, 5))
    assert not isinstance(rows, VaryingAnswers)
    assert rows[0] == pytest.approx(alone)
    assert rows[0] == pytest.approx(together, abs=1e-5)


@pytest.mark.parametrize(("metric", "vary"), [("cosine", True), ("neighbours", True), ("matches", False)])
def test_metrics_that_do_not_fit_are_refused_before_any_stage(metric: str, vary: bool, tmp_path: Path) -> None:
    path = detector(tmp_path / "m.onnx")
    data = array_samples(x=random(20, 1, 8))
    if not vary:
        made = graph([node("MatMul", ["x", "w"], ["y"])], {"x": ["batch", 1, 8]}, ["y"], {"w": random(8, 3)})
        onnx.save(made, path)
    spec = onnx_spec(sla={"quality": {"metric": metric, "maxDrop": "0.1"}})
    with pytest.raises(InvalidInput, match=r"choose (matches|cosine)") as error:
        batch_of_inputs(spec, path, data)
    assert error.value.field == "spec.sla.quality.metric"


def test_an_output_that_varies_in_two_dimensions_is_refused_before_any_stage(tmp_path: Path) -> None:
    nodes = [
        node("ReduceMax", ["x", "axes"], ["largest"], keepdims=0),
        node("Cast", ["largest"], ["size"], to=TensorProto.INT64),
        node("Concat", ["size", "size"], ["ends"], axis=0),
        node("Slice", ["x", "starts", "ends", "axes"], ["masks"]),
    ]
    weights = {"starts": np.array([0, 0]), "axes": np.array([1, 2])}
    made = graph(nodes, {"x": [1, 6, 6]}, ["masks"], weights)
    made.graph.output[0].CopyFrom(helper.make_tensor_value_info("masks", TensorProto.FLOAT, [1, "height", "width"]))
    onnx.save(made, tmp_path / "m.onnx")
    data = array_samples(x=np.stack([np.full((6, 6), size, np.float32) for size in (2, 3, 4)]))
    for sla in ({"quality": {"metric": "matches", "maxDrop": "0.1"}}, {"size": {"maxRatio": "2"}}):
        with pytest.raises(InvalidInput, match="output masks varies in more than one dimension between samples"):
            batch_of_inputs(onnx_spec(sla=sla), tmp_path / "m.onnx", data)


def test_texts_states_and_shared_numbers_are_measured_in_every_figure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nodes = [
        node("LabelEncoder", ["city"], ["code"], domain="ai.onnx.ml", keys_strings=["Oslo"], values_floats=[1.0]),
        node("MatMul", ["state", "w"], ["next"]),
        node("Add", ["next", "code"], ["sum"]),
        node("Mul", ["sum", "rate"], ["y"]),
    ]
    inputs = {"city": ["batch", 1], "state": [2, "batch", 3], "rate": []}
    for name, scale in (("a", 1.0), ("b", 1.1)):
        weights = {"w": scale * random(3, 4)}
        made = graph(nodes, inputs, ["y"], weights, {"city": TensorProto.STRING})  # type: ignore[arg-type]
        made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
        onnx.save(made, tmp_path / f"{name}.onnx")
    samples = [
        {"city": np.array([city]), "state": state, "rate": np.array(2.0, np.float32)}
        for city, state in zip(["Oslo", "Rio"] * 6, random(12, 2, 3), strict=True)
    ]
    models = tmp_path / "a.onnx", tmp_path / "b.onnx"
    benchmark = {"timeLimit": "1s", "threads": 1, "batchSize": 3}
    measure_shortly(monkeypatch)
    measurements = measure(onnx_spec(benchmark=benchmark), *_subjects(models), SampleSet(samples, "sha256:0"))
    assert 0.9 < measurements.compressed.quality["cosine"] < 1.0
    assert measurements.compressed.throughput_per_second > 0
    assert measurements.compressed.peak_memory_bytes > 0
