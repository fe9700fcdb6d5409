"""A whole measurement of real, tiny models: every figure, every estimate, progress, and what cannot be measured."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from compression_runner.dataset import SampleSet
from compression_runner.errors import InvalidInput
from compression_runner.evaluation import evaluate, phases
from compression_runner.evaluation.evaluate import Measurements, Subject, measure
from compression_runner.evaluation.machine.cpus import CpuReservation, choose_cpus, cpu_list
from compression_runner.evaluation.request import looks_at_samples
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
def models(linear_model: Callable[..., Path]) -> tuple[Subject, Subject]:
    """Return a classifier, and one whose weights are a little off, as if half as large."""
    weights = np.random.default_rng(0).normal(size=(WIDTH, CLASSES)).astype(np.float32)
    off = weights + np.random.default_rng(1).normal(scale=0.03, size=weights.shape).astype(np.float32)
    return Subject(linear_model("before", weights), 2000), Subject(linear_model("after", off), 1000)


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


def _measure(models: tuple[Subject, Subject], data: SampleSet, spec: CompressionJobSpec, **more: Any) -> Measurements:
    return measure(spec, *models, data, **more)


def test_every_figure_and_estimate_is_there(models: tuple[Subject, Subject], data: SampleSet, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    spec = _spec()
    found = _measure(models, data, spec, advance=lambda name, share: told.append((name, share)), answers_cache=tmp_path)
    judgement = found.judgement(spec.sla)
    assert len(judgement.objectives) == 9
    assert all(item.measured is not None for item in judgement.objectives)
    by_name = {item.name: item for item in judgement.objectives}
    assert by_name["size.ratio"].measured == 0.5
    assert by_name["quality.drop"].verdict == "Pass"
    percentile = spec.sla.latency.percentile if spec.sla.latency else "p99"
    for name, shown in {
        "latency": found.compressed.latency_intervals[percentile],
        "latency.speedup": found.speedups[percentile],
        "throughput": found.compressed.throughput_interval,
        "quality.drop": found.quality_drops["accuracy"],
    }.items():
        assert shown is not None
        judged = by_name[name]
        assert (judged.measured, judged.low, judged.high) == (shown.value, shown.low, shown.high), name
    assert found.compressed.peak_memory_bytes == round(by_name["memory"].measured or 0)
    assert found.quality_metric == "accuracy"
    answered = found.environment.evaluation_samples
    assert answered in (100, 145, 209, 300), "quality is measured until its limits are decided"
    assert found.baseline.quality["accuracy"] == pytest.approx(0.95, abs=0.05)
    assert [one.objective for one in found.looks] == [
        "quality.drop", "quality.score", "latency", "latency.speedup", "throughput", "memory", "memory.ratio"
    ]  # fmt: skip
    assert all(one.looks[-1].verdict == by_name[one.objective].verdict for one in found.looks)
    assert set(found.compressed.latency_seconds) == {"p50", "p90", "p99"}
    asked = found.environment.queries_per_model
    assert asked is not None
    assert len(found.latency_samples["baseline"]) == min(asked, evaluate.SAMPLES_IN_REPORT) >= 50
    assert set(found.timings) == set(phases.SHARES)
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    assert list(tmp_path.glob("*.npy")), "the baseline's answers are kept"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="with one CPU there is nothing to choose")
def test_the_process_is_pinned_while_it_measures(models: tuple[Subject, Subject], data: SampleSet) -> None:
    allowed = os.sched_getaffinity(0)
    seen: dict[str, set[int]] = {}
    spec = _spec(benchmark={"threads": 1})
    cpus = choose_cpus(1, CpuReservation("Turns", notes=("takes turns",)))
    found = _measure(
        models, data, spec, advance=lambda name, share: seen.update({name: os.sched_getaffinity(0)}), cpus=cpus
    )
    assert [seen[name] for name in ("memory", "latency", "throughput")] == [set(cpus.numbers)] * 3
    assert os.sched_getaffinity(0) == allowed
    about = found.environment
    assert (about.measured_cpus, about.isolation, about.pinned, about.threads) == (
        cpu_list(cpus.numbers),
        "Turns",
        True,
        1,
    )
    assert "takes turns" in about.notes


def test_intervals_are_made_for_all_objectives_together(models: tuple[Subject, Subject], data: SampleSet) -> None:
    found = _measure(models, data, _spec())
    assert found.environment.interval_confidence == pytest.approx(1 - 0.05 / 9, abs=1e-6)


def test_quality_that_is_measured_further_asks_for_no_answer_twice(
    models: tuple[Subject, Subject], data: SampleSet, tmp_path: Path
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


def test_without_limits_every_figure_is_there_after_one_look(models: tuple[Subject, Subject], data: SampleSet) -> None:
    found = _measure(models, data, _spec(sla={}))
    assert found.looks == []
    assert found.compressed.peak_memory_bytes
    assert found.compressed.throughput_per_second
    assert found.environment.evaluation_samples == len(data), "nothing says when it would be enough"


def test_neighbours_are_of_all_samples(data: SampleSet) -> None:
    spec = _spec("text-embedding", sla={"quality": {"metric": "neighbours", "maxDrop": "0.9"}})
    assert looks_at_samples(spec, len(data), has_labels=False, confidence=0.95) == (len(data),)
    assert looks_at_samples(_spec(), 300, has_labels=True, confidence=0.95) == (100, 145, 209, 300)


def test_a_model_that_is_its_own_baseline_loses_nothing(models: tuple[Subject, Subject], data: SampleSet) -> None:
    found = _measure((models[0], models[0]), data, _spec(pipeline=[{"pack": {}}]))
    assert found.quality_drops["accuracy"].high == 0.0
    assert found.quality_drops["agreement"].high == 0.0


def test_weights_beside_the_graph_count_when_models_are_told_apart(
    models: tuple[Subject, Subject], data: SampleSet, tmp_path: Path
) -> None:
    """Two graphs are the same bytes, their weights lie in files of other content."""
    apart = []
    for name, subject in zip(("first", "second"), models, strict=True):
        folder = tmp_path / name
        folder.mkdir()
        model = onnx.load(subject.model)
        onnx.save_model(model, folder / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
        apart.append(Subject(folder / "m.onnx", 1000))
    assert apart[0].model.read_bytes() == apart[1].model.read_bytes()
    found = _measure((apart[0], apart[1]), data, _spec())
    assert found.quality_drops["agreement"].high > 0.0
    assert found.compressed.quality["agreement"] < 1.0


def test_a_larger_result_is_an_anomaly(models: tuple[Subject, Subject], data: SampleSet) -> None:
    larger = Subject(models[1].model, 3000)
    found = _measure((models[0], larger), data, _spec())
    assert any("larger than the baseline: 1.50 times" in text for text in found.anomalies)


def test_any_onnx_model_is_compared_by_cosine(models: tuple[Subject, Subject], data: SampleSet) -> None:
    spec = _spec("onnx", sla={"quality": {"maxDrop": "0.05"}})
    found = _measure(models, data, spec)
    assert found.quality_metric == "cosine"
    assert 0.9 < found.compressed.quality["cosine"] < 1.0
    assert found.environment.sequence_length is None


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
        subjects.append(Subject(tmp_path / f"{name}.onnx", 1000))
    spec = _spec("onnx", sla={"quality": {"maxDrop": "0.05"}})
    found = _measure((subjects[0], subjects[1]), data, spec)
    assert [(part.name, round(part.score, 3)) for part in found.quality_parts] == [("scores", -1.0), ("boxes", 1.0)]
    judgement = found.judgement(spec.sla)
    assert judgement.verdict == "Fail"
    assert "the worst part is scores: -1.0000" in judgement.sentence()


def test_a_metric_without_labels_is_refused(models: tuple[Subject, Subject], data: SampleSet) -> None:
    without = SampleSet(samples=data.samples, digest=data.digest)
    with pytest.raises(InvalidInput, match=r"spec\.sla\.quality\.metric.*accuracy.*needs labels.*agreement"):
        _measure(models, without, _spec())


def test_another_batch_than_the_model_fixes_is_refused(linear_model: Callable[..., Path], data: SampleSet) -> None:
    weights = np.ones((WIDTH, CLASSES), dtype=np.float32)
    fixed = Subject(linear_model("fixed", weights, batch=2), 1000)
    with pytest.raises(InvalidInput, match=r"spec\.benchmark\.batchSize.*'1'.*set it to 2"):
        _measure((fixed, fixed), data, _spec())
    found = _measure((fixed, fixed), data, _spec(benchmark={"batchSize": 2}))
    assert found.compressed.throughput_per_second
