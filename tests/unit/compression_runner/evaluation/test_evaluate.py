"""A whole measurement of real, tiny models: figures, estimates, progress, and refusals."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe, InvalidInput
from compression_runner.evaluation import evaluate, phases
from compression_runner.evaluation.evaluate import measure
from compression_runner.evaluation.machine.cpus import CpuReservation, choose_cpus, cpu_list
from compression_runner.evaluation.measurements import MeasuredModel, Measurements
from compression_runner.evaluation.request import looks_at_samples
from compressionjob.exit_codes import ExitCode
from compressionjob.spec import CompressionJobSpec
from tests.support.graphs import graph
from tests.support.short_measurements import measure_shortly

CLASSES, WIDTH = 4, 16
SLA = {
    "quality": {"metric": "accuracy", "maxDrop": "0.1", "min": "0.5"},
    "latency": {"percentile": "p50", "max": "1s", "minSpeedup": "0.01"},
    "throughput": {"min": "1"},
    "size": {"maxRatio": "0.6", "max": "1Mi"},
    "memory": {"max": "4Gi", "maxRatio": "2"},
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    measure_shortly(monkeypatch)


@pytest.fixture
def models(linear_model: Callable[..., Path]) -> tuple[MeasuredModel, MeasuredModel]:
    """Return a classifier, and one with slightly different weights that counts as half the size."""
    weights = np.random.default_rng(0).normal(size=(WIDTH, CLASSES)).astype(np.float32)
    off = weights + np.random.default_rng(1).normal(scale=0.03, size=weights.shape).astype(np.float32)
    return MeasuredModel(linear_model("before", weights), 2000), MeasuredModel(linear_model("after", off), 1000)


@pytest.fixture
def data() -> SampleSet:
    """Return samples with the labels that the first classifier gives nearly all of them."""
    weights = np.random.default_rng(0).normal(size=(WIDTH, CLASSES)).astype(np.float32)
    rows = np.random.default_rng(2).normal(size=(300, WIDTH)).astype(np.float32)
    labels = (rows @ weights).argmax(axis=1).astype(np.int64)
    labels[::20] = (labels[::20] + 1) % CLASSES
    return SampleSet(samples=[{"x": row} for row in rows], digest="sha256:0", labels=labels)


def _spec(task: str = "image-classification", **changes: Any) -> CompressionJobSpec:
    spec = {
        "model": {"source": "file:///models/m", "task": task},
        "data": {"evaluation": {"source": "file:///data/d.npz"}},
        "pipeline": [{"quantize": {}}],
        "sla": SLA,
        "output": {"destination": "file:///models/out"},
    }
    return CompressionJobSpec.model_validate(spec | changes)


def _measure(
    models: tuple[MeasuredModel, MeasuredModel], data: SampleSet, spec: CompressionJobSpec, **more: Any
) -> Measurements:
    return measure(spec, *models, data, **more)


def test_every_figure_and_estimate_is_measured(
    models: tuple[MeasuredModel, MeasuredModel], data: SampleSet, tmp_path: Path
) -> None:
    progress: list[tuple[str, float]] = []
    spec = _spec()
    measurements = _measure(
        models, data, spec, advance=lambda name, share: progress.append((name, share)), answers_cache=tmp_path
    )
    judgement = measurements.judgement(spec.sla)
    assert len(judgement.objectives) == 9
    assert all(item.measured is not None for item in judgement.objectives)
    by_name = {item.name: item for item in judgement.objectives}
    assert by_name["size.ratio"].measured == 0.5
    assert by_name["quality.drop"].verdict == "Pass"
    percentile = spec.sla.latency.percentile if spec.sla.latency else "p99"
    for name, shown in {
        "latency": measurements.compressed.latency_intervals[percentile],
        "latency.speedup": measurements.speedups[percentile],
        "throughput": measurements.compressed.throughput_interval,
        "quality.drop": measurements.quality_drops["accuracy"],
    }.items():
        assert shown is not None
        judged = by_name[name]
        assert (judged.measured, judged.low, judged.high) == (shown.value, shown.low, shown.high), name
    assert measurements.compressed.peak_memory_bytes == round(by_name["memory"].measured or 0)
    assert measurements.quality_metric == "accuracy"
    answered = measurements.environment.evaluation_samples
    assert answered in (100, 145, 209, 300), "quality is measured until its limits are decided"
    assert measurements.baseline.quality["accuracy"] == pytest.approx(0.95, abs=0.05)
    assert [one.objective for one in measurements.looks] == [
        "quality.drop", "quality.score", "latency", "latency.speedup", "throughput", "memory", "memory.ratio"
    ]  # fmt: skip
    assert all(one.looks[-1].verdict == by_name[one.objective].verdict for one in measurements.looks)
    assert set(measurements.compressed.latency_seconds) == {"p50", "p90", "p99"}
    queries = measurements.environment.queries_per_model
    assert queries is not None
    assert len(measurements.latency_samples["baseline"]) == min(queries, evaluate.SAMPLES_IN_REPORT) >= 50
    assert set(measurements.timings) == set(phases.SHARES)
    shares = [share for _, share in progress]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert list(tmp_path.glob("*.npy")), "the baseline's answers are kept"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="with one CPU there is nothing to choose")
def test_the_process_is_pinned_while_it_measures(models: tuple[MeasuredModel, MeasuredModel], data: SampleSet) -> None:
    allowed = os.sched_getaffinity(0)
    seen: dict[str, set[int]] = {}
    spec = _spec(benchmark={"threads": 1})
    cpus = choose_cpus(1, CpuReservation("Turns", notes=("takes turns",)))
    measurements = _measure(
        models, data, spec, advance=lambda name, share: seen.update({name: os.sched_getaffinity(0)}), cpus=cpus
    )
    assert [seen[name] for name in ("memory", "latency", "throughput")] == [set(cpus.numbers)] * 3
    assert os.sched_getaffinity(0) == allowed
    about = measurements.environment
    assert (about.measured_cpus, about.isolation, about.pinned, about.threads) == (
        cpu_list(cpus.numbers),
        "Turns",
        True,
        1,
    )
    assert "takes turns" in about.notes


def test_intervals_are_corrected_for_all_objectives(
    models: tuple[MeasuredModel, MeasuredModel], data: SampleSet
) -> None:
    measurements = _measure(models, data, _spec())
    assert measurements.environment.interval_confidence == pytest.approx(1 - 0.05 / 9, abs=1e-6)


def test_later_looks_at_quality_reuse_answers(
    models: tuple[MeasuredModel, MeasuredModel], data: SampleSet, tmp_path: Path
) -> None:
    easy, hard = ({"quality": {"metric": "accuracy", "maxDrop": drop}} for drop in ("0.9", "0.004"))
    first = _measure(models, data, _spec(sla=easy), answers_cache=tmp_path)
    assert first.environment.evaluation_samples == 100
    (kept,) = tmp_path.glob("*.npy")
    written = kept.stat().st_mtime_ns
    further = _measure(models, data, _spec(sla=hard), answers_cache=tmp_path)
    assert further.environment.evaluation_samples == len(data)
    assert kept.stat().st_mtime_ns == written
    assert sum(len(np.load(path)) for path in tmp_path.glob("*.npy")) == len(data)


def test_without_limits_every_figure_is_measured_at_one_look(
    models: tuple[MeasuredModel, MeasuredModel], data: SampleSet
) -> None:
    measurements = _measure(models, data, _spec(sla={}))
    assert measurements.looks == []
    assert measurements.compressed.peak_memory_bytes
    assert measurements.compressed.throughput_per_second
    assert measurements.environment.evaluation_samples == len(data), "nothing says when it would be enough"


def test_neighbours_are_of_all_samples(data: SampleSet) -> None:
    spec = _spec("text-embedding", sla={"quality": {"metric": "neighbours", "maxDrop": "0.9"}})
    assert looks_at_samples(spec, len(data), has_labels=False, confidence=0.95) == (len(data),)
    assert looks_at_samples(_spec(), 300, has_labels=True, confidence=0.95) == (100, 145, 209, 300)


def test_a_model_identical_to_its_baseline_loses_nothing(
    models: tuple[MeasuredModel, MeasuredModel], data: SampleSet
) -> None:
    measurements = _measure((models[0], models[0]), data, _spec(pipeline=[{"pack": {}}]))
    assert measurements.quality_drops["accuracy"].high == 0.0
    assert measurements.quality_drops["agreement"].high == 0.0


def test_models_with_different_external_weights_are_different(
    models: tuple[MeasuredModel, MeasuredModel], data: SampleSet, tmp_path: Path
) -> None:
    """Two graphs are the same bytes, their weights lie in files of other content."""
    apart = []
    for name, subject in zip(("first", "second"), models, strict=True):
        folder = tmp_path / name
        folder.mkdir()
        model = onnx.load(subject.model)
        onnx.save_model(model, folder / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
        apart.append(MeasuredModel(folder / "m.onnx", 1000))
    assert apart[0].model.read_bytes() == apart[1].model.read_bytes()
    measurements = _measure((apart[0], apart[1]), data, _spec())
    assert measurements.quality_drops["agreement"].high > 0.0
    assert measurements.compressed.quality["agreement"] < 1.0


def test_a_larger_result_is_an_anomaly(models: tuple[MeasuredModel, MeasuredModel], data: SampleSet) -> None:
    larger = MeasuredModel(models[1].model, 3000)
    measurements = _measure((models[0], larger), data, _spec())
    assert any("larger than the baseline: 1.50 times" in text for text in measurements.anomalies)


def test_any_onnx_model_is_compared_by_cosine(models: tuple[MeasuredModel, MeasuredModel], data: SampleSet) -> None:
    spec = _spec("onnx", sla={"quality": {"maxDrop": "0.05"}})
    measurements = _measure(models, data, spec)
    assert measurements.quality_metric == "cosine"
    assert 0.9 < measurements.compressed.quality["cosine"] < 1.0
    assert measurements.environment.sequence_length is None


def test_each_output_of_an_onnx_model_is_judged(data: SampleSet, tmp_path: Path) -> None:
    """Boxes in pixels and scores from 0 to 1 in one model: the boxes do not hide scores that are lost."""
    weights = np.random.default_rng(0).normal(size=(WIDTH, CLASSES)).astype(np.float32)
    subjects = []
    for name, scores in (("before", weights), ("after", -weights)):
        node = onnx.helper.make_node
        nodes = [node("MatMul", ["x", "pixels"], ["boxes"]), node("MatMul", ["x", "small"], ["scores"])]
        outputs = ["boxes", "scores"]
        model = graph(nodes, {"x": ["batch", WIDTH]}, outputs, {"pixels": 1000 * weights, "small": scores})
        onnx.save(model, tmp_path / f"{name}.onnx")
        subjects.append(MeasuredModel(tmp_path / f"{name}.onnx", 1000))
    spec = _spec("onnx", sla={"quality": {"maxDrop": "0.05"}})
    measurements = _measure((subjects[0], subjects[1]), data, spec)
    assert [(part.name, round(part.score, 3)) for part in measurements.quality_parts] == [
        ("scores", -1.0),
        ("boxes", 1.0),
    ]
    judgement = measurements.judgement(spec.sla)
    assert judgement.verdict == "Fail"
    assert "the worst part is scores: -1.0000" in judgement.sentence()


def test_a_metric_without_labels_is_refused(models: tuple[MeasuredModel, MeasuredModel], data: SampleSet) -> None:
    without = SampleSet(samples=data.samples, digest=data.digest)
    with pytest.raises(InvalidInput, match=r"spec\.sla\.quality\.metric.*accuracy.*needs labels.*agreement"):
        _measure(models, without, _spec())


def test_a_batch_size_other_than_the_fixed_one_is_refused(linear_model: Callable[..., Path], data: SampleSet) -> None:
    weights = np.ones((WIDTH, CLASSES), dtype=np.float32)
    fixed = MeasuredModel(linear_model("fixed", weights, batch=2), 1000)
    with pytest.raises(InvalidInput, match=r"spec\.benchmark\.batchSize.*'1'.*set it to 2"):
        _measure((fixed, fixed), data, _spec())
    measurements = _measure((fixed, fixed), data, _spec(benchmark={"batchSize": 2}))
    assert measurements.compressed.throughput_per_second


def test_a_compressed_model_that_does_not_run_ends_the_job_as_a_bad_recipe(
    models: tuple[MeasuredModel, MeasuredModel], data: SampleSet, tmp_path: Path
) -> None:
    """The baseline has answered the same data, so the input is valid."""
    weights = np.random.default_rng(0).normal(size=(WIDTH, CLASSES)).astype(np.float32)
    nodes = [
        onnx.helper.make_node("MatMul", ["x", "weights"], ["scores"]),
        onnx.helper.make_node("Reshape", ["scores", "rows"], ["logits"]),
    ]
    broken = graph(nodes, {"x": ["batch", WIDTH]}, ["logits"], {"weights": weights, "rows": np.array([7, CLASSES])})
    broken.ir_version, broken.opset_import[0].version = 10, 17
    onnx.save(broken, tmp_path / "broken.onnx")
    with pytest.raises(BadRecipe, match=r"spec\.pipeline\[0\]\.quantize: .*does not run in onnxruntime") as ended:
        _measure((models[0], MeasuredModel(tmp_path / "broken.onnx", 1000)), data, _spec())
    assert (ended.value.reason, ended.value.exit_code) == ("NotRunning", ExitCode.RECIPE)


def _silent(linear_model: Callable[..., Path]) -> MeasuredModel:
    return MeasuredModel(linear_model("silent", np.full((WIDTH, CLASSES), np.nan, np.float32)), 1000)


def test_a_verdict_names_answers_that_are_not_finite(
    models: tuple[MeasuredModel, MeasuredModel], linear_model: Callable[..., Path], data: SampleSet
) -> None:
    spec = _spec(sla={"quality": {"metric": "accuracy", "maxDrop": "0.1"}})
    judgement = _measure((models[0], _silent(linear_model)), data, spec).judgement(spec.sla)
    assert judgement.verdict == "Fail"
    answered = judgement.objectives[0].reason
    assert re.search(r"the compressed model answers (\d+) of \1 samples with NaN or infinity", answered), answered


def test_a_model_without_a_finite_answer_does_not_pass_limits_on_size(
    models: tuple[MeasuredModel, MeasuredModel], linear_model: Callable[..., Path], data: SampleSet
) -> None:
    with pytest.raises(
        BadRecipe, match=r"pipeline\[0\]\.quantize: .*answers every sample with NaN or infinity; change"
    ):
        _measure((models[0], _silent(linear_model)), data, _spec(sla={"size": {"maxRatio": "0.6"}}))


def test_saturating_products_are_in_the_notes_and_in_the_message_of_the_limit(
    models: tuple[MeasuredModel, MeasuredModel], data: SampleSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "saturation_note", lambda _models, _engine: "products saturate")
    spec = _spec(sla={"quality": {"metric": "agreement", "min": "1"}})
    measurements = _measure(models, data, spec)
    (objective,) = measurements.judgement(spec.sla).objectives
    assert objective.verdict != "Pass"
    assert "products saturate" in objective.describe()
    assert "products saturate" in measurements.environment.notes
