"""The statistical power of a run that `plan` shows."""

from typing import Any

import numpy as np
import pytest

from compression_runner.commands.power import Planned, power_of, undecidable
from compression_runner.evaluation.statistics.intervals import share
from compressionjob.objectives import QualityMetric
from compressionjob.sla_objectives import NAMES, objectives_of
from compressionjob.spec import CompressionJobSpec, parse_job
from tests.support.manifests import job


def _spec(**changes: Any) -> CompressionJobSpec:
    return parse_job(job(**changes)).spec


def _planned(sla: dict[str, Any], samples: int = 1000, results: int = 1, **changes: Any) -> Planned:
    return Planned(_spec(spec__sla=sla, **changes), samples, results)


def _said(planned: Planned) -> dict[str, str]:
    return {objective.name: str(power_of(objective, planned)) for objective in objectives_of(planned.spec.sla)}


def test_every_objective_has_a_power() -> None:
    sla = {
        "quality": {"metric": "accuracy", "maxDrop": "0.01", "min": "0.9"},
        "latency": {"percentile": "p99", "max": "20ms", "minSpeedup": "1.2"},
        "throughput": {"min": "100"},
        "size": {"maxRatio": "0.26", "max": "30Mi"},
        "memory": {"max": "1Gi", "maxRatio": "0.9"},
        "flips": {"max": "0.05"},
    }
    said = _said(_planned(sla, spec__model__task="text-classification"))
    assert set(said) <= NAMES
    assert len(said) == 10
    assert said["size"] == said["size.ratio"] == "any difference (sizes are counted)"
    assert "5% of the samples" in said["quality.drop"]
    assert "at worst" in said["quality.drop"]
    assert said["quality.score"].endswith("half of that: 4,000 samples")
    assert "queries of 20ms" in said["latency"]
    assert "queries vary by 10%" in said["latency"]
    assert "pairs of blocks vary by 10%" in said["latency.speedup"]
    assert said["throughput"].endswith("half of that: spec.benchmark.timeLimit 40m0s")
    assert said["memory"].startswith("about 1.2% with 12 processes")


def test_more_limits_and_results_lower_the_power() -> None:
    def reach(planned: Planned) -> float:
        return float(_said(planned)["throughput"].split()[1].rstrip("%"))

    alone = {"throughput": {"min": "100"}}
    assert reach(_planned(alone)) < reach(_planned(alone, results=20))
    assert reach(_planned(alone)) < reach(_planned({**alone, "confidence": "0.999"}))
    assert reach(_planned(alone, spec__benchmark={"timeLimit": "1h"})) < reach(_planned(alone))


def test_a_time_that_is_too_short_for_a_percentile_decides_nothing() -> None:
    planned = _planned({"latency": {"percentile": "p99", "max": "20ms"}}, spec__benchmark={"timeLimit": "1s"})
    assert "nothing with queries of 20ms" in _said(planned)["latency"]


def test_the_power_of_queued_queries_is_not_predicted() -> None:
    server = {"latency": {"max": "20ms", "scenario": "Server", "targetRate": "50"}}
    assert "after the first look" in _said(_planned(server))["latency"]


def test_no_longer_time_is_proposed_at_the_maximum_of_queries() -> None:
    planned = _planned({"latency": {"percentile": "p50", "max": "1ms"}}, spec__benchmark={"timeLimit": "1h"})
    assert _said(planned)["latency"].endswith("half of that: not in one run, which ends at 50,000 queries")


@pytest.mark.parametrize(("limits", "task", "metric"), [
    ({"maxDrop": "0.01"}, "tabular-regression", "correlation"),
    ({"maxIncrease": "0.01"}, "tabular-regression", "mae"),
    ({"maxDrop": "0.01"}, "text-classification", "accuracy"),
    ({"metric": "f1", "min": "0.8"}, "text-classification", "f1"),
])  # fmt: skip
def test_the_metric_fits_the_limits(limits: dict[str, str], task: str, metric: QualityMetric) -> None:
    assert _planned({"quality": limits}, spec__model__task=task).metric == metric


@pytest.mark.parametrize(("quality", "field"), [
    ({"metric": "accuracy", "maxDrop": "0.001"}, "spec.sla.quality.maxDrop (0.001)"),
    ({"metric": "accuracy", "min": "0.999"}, "spec.sla.quality.min (0.999)"),
    ({"metric": "agreement", "maxDrop": "0.001"}, "spec.sla.quality.maxDrop (0.001)"),
])  # fmt: skip
def test_too_few_samples_cause_a_warning_with_the_needed_number(quality: dict[str, str], field: str) -> None:
    few = _planned({"quality": quality}, samples=100, spec__model__task="text-classification")
    (warning,) = undecidable(few)
    assert warning.startswith(f"{field}: 100 evaluation samples cannot decide it")
    needed = int(warning.rsplit(" ", 1)[1].rstrip(")"))
    enough = Planned(few.spec, needed)
    assert list(undecidable(enough)) == []
    assert 1.0 - share(np.ones(needed, dtype=bool), enough.of_samples).low <= 0.001


def test_flips_and_limits_of_0_cause_warnings() -> None:
    task = "text-classification"
    (warning,) = undecidable(_planned({"flips": {"max": "0.001"}}, samples=100, spec__model__task=task))
    assert "spec.sla.flips.max (0.001)" in warning
    (warning,) = undecidable(_planned({"quality": {"metric": "agreement", "maxDrop": "0"}}, spec__model__task=task))
    assert warning.endswith("no number of samples can")


def test_a_limit_that_a_perfect_model_passes_causes_no_warning() -> None:
    assert list(undecidable(_planned({"quality": {"metric": "cosine", "maxDrop": "0.0001"}}, samples=10))) == []
    assert list(undecidable(_planned({"size": {"maxRatio": "0.5"}}, samples=10))) == []


def test_the_power_of_recovery_is_that_of_the_smallest_judged_task() -> None:
    source = "s3://data/words.jsonl"
    tasks = [
        {"name": name, "source": source, "kind": "multiple-choice", "limit": limit}
        for name, limit in (("few", 200), ("many", 5000))
    ]

    def said(**limit: Any) -> str:
        sla = {"recovery": {"min": "0.9", **limit}}
        changes = {"spec__model__task": "text-generation", "spec__data__tasks": tasks}
        return _said(_planned(sla, **changes))["recovery"]

    assert "200 questions" in said()
    assert said().endswith("half of that: 800 questions")
    assert "5,000 questions" in said(tasks=["many"])
