"""A whole measurement with trust: estimates for the verdict, progress, texts, and jobs that do not ask for it."""

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
from compression_runner.evaluation.evaluate import Measurements, Subject, measure
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
def subjects(linear: Linear, tmp_path: Path) -> tuple[Subject, Subject]:
    linear(WEIGHTS)
    linear(OFF)
    return Subject(tmp_path / "0.onnx", 2000), Subject(tmp_path / "1.onnx", 1000)


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


def test_every_objective_has_an_estimate_and_the_report_its_part(
    subjects: tuple[Subject, Subject], data: SampleSet
) -> None:
    told: list[tuple[str, float]] = []
    spec = _spec()
    found = measure(spec, *subjects, data, advance=lambda name, share: told.append((name, share)))
    judgement = found.judgement(spec.sla)
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
    assert found.trust is not None
    assert found.trust.groups is not None
    assert {group.name for group in found.trust.groups.groups} == {"old", "young"}
    assert found.trust.robustness is not None
    assert [item.kind for item in found.trust.robustness.disturbed] == ["gaussian", "drift", "pgd"]
    assert found.trust.robustness.samples == 60
    assert found.trust.attributions is not None
    assert found.trust.flips is not None
    assert set(found.timings) == {*phases.SHARES, phases.TRUST}
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_the_same_model_loses_nothing_with_certainty(subjects: tuple[Subject, Subject], data: SampleSet) -> None:
    found = measure(_spec(), subjects[0], subjects[0], data)
    for name in ("fairness.gap.increase", "robustness.noise.drop", "robustness.attack.drop", "flips"):
        assert found.estimates[name].low == found.estimates[name].high == 0.0, name
    assert found.estimates["attributions.agreement"].low == 1.0


def test_without_labels_the_baselines_answers_are_right(subjects: tuple[Subject, Subject], data: SampleSet) -> None:
    alone = SampleSet(samples=data.samples, digest="", unnamed=True)
    limits = {"robustness": {"noise": {"level": "0.1", "min": "0.5"}}}
    found = measure(_spec(sla=limits, data={"evaluation": {"source": "file:///d.parquet"}}), *subjects, alone)
    assert found.trust is not None
    assert found.trust.robustness is not None
    assert found.trust.robustness.judged_by == "the baseline's answers"
    assert found.trust.robustness.baseline_clean.value == 1.0


def test_groups_of_data_without_labels_are_refused(subjects: tuple[Subject, Subject], data: SampleSet) -> None:
    alone = SampleSet(samples=data.samples, digest="", unnamed=True, groups=data.groups)
    with pytest.raises(InvalidInput, match=r"columns\.group.*'age'.*give labels"):
        measure(_spec(sla={}), *subjects, alone)


def test_groups_that_are_only_named_are_told_and_not_judged(subjects: tuple[Subject, Subject], data: SampleSet) -> None:
    spec = _spec(sla={})
    found = measure(spec, *subjects, data)
    assert found.trust is not None
    assert found.trust.groups is not None
    assert found.judgement(spec.sla).objectives == ()


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
    subject = Subject(tmp_path / "graph" / "model.onnx", 1000)
    found: Measurements = measure(spec, subject, subject, data)
    assert found.trust is not None
    assert found.trust.robustness is not None
    assert found.trust.robustness.disturbed[0].kind == "typos"
    assert found.trust.attributions is not None
    assert found.trust.attributions.samples == 5


def test_a_job_that_does_not_ask_for_it_imports_none_of_it() -> None:
    code = (
        "import sys, compression_runner.evaluation.evaluate, compression_runner.pipeline.run;"
        "heavy = ('captum', 'fairlearn', 'pandas', 'matplotlib', 'compression_runner.evaluation.attributions');"
        "print(*(name for name in heavy if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
