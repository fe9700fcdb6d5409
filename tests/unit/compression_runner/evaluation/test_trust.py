"""A whole measurement with trust: estimates for the verdict, progress, texts, and jobs without trust limits."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compression_runner.artifact import seal
from compression_runner.dataset import SampleSet, load_samples
from compression_runner.errors import InvalidInput
from compression_runner.evaluation import phases
from compression_runner.evaluation.evaluate import measure
from compression_runner.evaluation.measurements import MeasuredModel, Measurements
from compression_runner.formats.export import export
from compressionjob.spec import CompressionJobSpec
from tests.support import tiny_models
from tests.support.graphs import Linear
from tests.support.short_measurements import measure_shortly

WIDTH = 8
WEIGHTS = np.random.default_rng(0).normal(size=(WIDTH, 3)).astype(np.float32)
OFF = WEIGHTS + np.random.default_rng(1).normal(scale=0.05, size=WEIGHTS.shape).astype(np.float32)
ROWS = np.random.default_rng(2).normal(size=(120, WIDTH)).astype(np.float32)
SLA = {
    "fairness": {"minWorst": "0.5", "maxGap": "0.5", "maxGapIncrease": "0.5"},
    "robustness": {
        "samples": 60,
        "noise": {"level": "0.1", "min": "0.2", "maxDrop": "0.5"},
        "corruption": {"kinds": ["drift"], "min": "0.2"},
        "attack": {"epsilon": "0.1", "steps": 2, "min": "0.2"},
    },
    "attributions": {"minAgreement": "0.5", "samples": 5},
    "flips": {"max": "0.5"},
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    measure_shortly(monkeypatch, paired_resamples=400)


@pytest.fixture
def subjects(linear: Linear, tmp_path: Path) -> tuple[MeasuredModel, MeasuredModel]:
    linear(WEIGHTS)
    linear(OFF)
    return MeasuredModel(tmp_path / "0.onnx", 2000), MeasuredModel(tmp_path / "1.onnx", 1000)


@pytest.fixture
def data() -> SampleSet:
    labels = (ROWS @ WEIGHTS).argmax(axis=1)
    groups = ["old" if row[0] > 0 else "young" for row in ROWS]
    return SampleSet(
        samples=[{"x": row} for row in ROWS], digest="sha256:0", labels=labels, unnamed=True, groups=groups
    )


def _spec(task: str = "tabular-classification", **changes: Any) -> CompressionJobSpec:
    spec = {
        "model": {"source": "file:///models/m", "task": task},
        "data": {"evaluation": {"source": "file:///data/d.parquet", "columns": {"group": "age"}}},
        "pipeline": [{"quantize": {}}],
        "sla": SLA,
        "benchmark": {"timeLimit": "2s"},
        "output": {"destination": "file:///models/out"},
    }
    return CompressionJobSpec.model_validate(spec | changes)


def test_every_trust_objective_has_an_estimate_and_a_report(
    subjects: tuple[MeasuredModel, MeasuredModel], data: SampleSet
) -> None:
    progress: list[tuple[str, float]] = []
    spec = _spec()
    measurements = measure(spec, *subjects, data, advance=lambda name, share: progress.append((name, share)))
    judgement = measurements.judgement(spec.sla)
    assert [objective.name for objective in judgement.objectives] == [
        "fairness.worst",
        "fairness.gap",
        "fairness.gap.increase",
        "robustness.noise.drop",
        "robustness.noise.score",
        "robustness.corruption.score",
        "robustness.attack.score",
        "attributions.agreement",
        "flips",
    ]
    assert all(objective.measured is not None for objective in judgement.objectives)
    assert judgement.verdict == "Pass", judgement.sentence()
    assert measurements.trust is not None
    assert measurements.trust.groups is not None
    assert {group.name for group in measurements.trust.groups.groups} == {"old", "young"}
    assert measurements.trust.robustness is not None
    assert [item.kind for item in measurements.trust.robustness.disturbed] == ["gaussian", "drift", "pgd"]
    assert measurements.trust.robustness.samples == 60
    assert measurements.trust.attributions is not None
    assert measurements.trust.flips is not None
    assert set(measurements.timings) == {*phases.SHARES, phases.TRUST}
    shares = [share for _, share in progress]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_an_identical_model_loses_exactly_nothing(
    subjects: tuple[MeasuredModel, MeasuredModel], data: SampleSet
) -> None:
    measurements = measure(_spec(), subjects[0], subjects[0], data)
    for name in ("fairness.gap.increase", "robustness.noise.drop", "robustness.attack.drop", "flips"):
        assert measurements.estimates[name].low == measurements.estimates[name].high == 0.0, name
    assert measurements.estimates["attributions.agreement"].low == 1.0


def test_without_labels_the_baselines_answers_count_as_right(
    subjects: tuple[MeasuredModel, MeasuredModel], data: SampleSet
) -> None:
    alone = SampleSet(samples=data.samples, digest="", unnamed=True)
    limits = {"robustness": {"noise": {"level": "0.1", "min": "0.5"}}}
    measurements = measure(_spec(sla=limits, data={"evaluation": {"source": "file:///d.parquet"}}), *subjects, alone)
    assert measurements.trust is not None
    assert measurements.trust.robustness is not None
    assert measurements.trust.robustness.judged_by == "the baseline's answers"
    assert measurements.trust.robustness.baseline_clean.value == 1.0


def test_groups_of_data_without_labels_are_refused(
    subjects: tuple[MeasuredModel, MeasuredModel], data: SampleSet
) -> None:
    alone = SampleSet(samples=data.samples, digest="", unnamed=True, groups=data.groups)
    with pytest.raises(InvalidInput, match=r"columns\.group.*'age'.*give labels"):
        measure(_spec(sla={}), *subjects, alone)


def test_named_groups_are_reported_without_a_verdict(
    subjects: tuple[MeasuredModel, MeasuredModel], data: SampleSet
) -> None:
    spec = _spec(sla={})
    measurements = measure(spec, *subjects, data)
    assert measurements.trust is not None
    assert measurements.trust.groups is not None
    assert measurements.judgement(spec.sla).objectives == ()


def test_texts_are_misspelt_and_explained(tmp_path: Path) -> None:
    model = tiny_models.bert(tmp_path / "model", labels=3)
    table = tiny_models.text_data(tmp_path / "d.parquet", labels=[0, 1, 2] * 10)
    (tmp_path / "graph").mkdir()
    export(seal(model, "transformers", "text-classification"), tmp_path / "graph")
    limits = {
        "robustness": {"corruption": {"severity": 5, "min": "0.1"}},
        "attributions": {"minAgreement": "0.5", "samples": 5},
    }
    spec = _spec(
        "text-classification",
        sla=limits,
        data={"evaluation": {"source": "file:///d.parquet"}},
        benchmark={"timeLimit": "2s", "sequenceLength": 16},
    )
    data = load_samples(spec.data.evaluation, table, task="text-classification", model_dir=model, sequence_length=16)
    subject = MeasuredModel(tmp_path / "graph" / "model.onnx", 1000)
    measurements: Measurements = measure(spec, subject, subject, data)
    assert measurements.trust is not None
    assert measurements.trust.robustness is not None
    assert measurements.trust.robustness.disturbed[0].kind == "typos"
    assert measurements.trust.attributions is not None
    assert measurements.trust.attributions.samples == 5


def test_a_job_without_trust_limits_imports_no_trust_library() -> None:
    code = (
        "import sys, compression_runner.evaluation.evaluate, compression_runner.pipeline.run;"
        "heavy = ('captum', 'fairlearn', 'pandas', 'matplotlib', 'compression_runner.evaluation.attributions');"
        "print(*(name for name in heavy if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
