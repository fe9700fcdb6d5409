"""The candidates of a fallback: which, in which order, and at what confidence."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from compression_runner import artifact as artifacts
from compression_runner.dataset import SampleSet
from compression_runner.errors import BadRecipe
from compression_runner.evaluation.measurements import Measurements
from compression_runner.formats.source.inspection import inspect
from compression_runner.pipeline import fallback, reporting
from compression_runner.pipeline.execution import StepOutput
from compression_runner.pipeline.planner import Candidate, PipelinePlan, make_plan
from compression_runner.pipeline.preflight import is_ours
from compression_runner.pipeline.reporting import RunResult
from compression_runner.pipeline.staging import PreparedModels
from compressionjob.errors import InvalidSpec
from compressionjob.estimate import Estimate
from compressionjob.report import Environment, ModelFigures, StageReport
from compressionjob.sla_objectives import QUALITY_DROP, SIZE, SIZE_RATIO
from compressionjob.spec import CompressionJob, parse_job
from compressionjob.verdict import interval_confidence, judge
from tests.support.plans import open_store

SLIGHT: dict[str, Any] = {"prune": {"sparsity": "0.1"}, "name": "slight"}
HARD: dict[str, Any] = {"prune": {"sparsity": "0.9"}, "name": "hard"}
HEADS: dict[str, Any] = {"prune": {"method": "structured", "structure": "heads", "sparsity": "0.5"}, "name": "heads"}
INT2: dict[str, Any] = {"quantize": {"method": "weight-only", "dtype": "int2", "algorithm": "rtn"}}
PACK: dict[str, Any] = {"pack": {"codec": "zstd"}}
LIMITS: dict[str, Any] = {"quality": {"maxDrop": "0.01"}, "onViolation": "Fallback"}


def job(place: Path, *stages: dict[str, Any], output: str = "auto", **limits: Any) -> CompressionJob:
    spec = {
        "model": {"source": f"file://{place}", "task": "text-embedding"},
        "data": {"evaluation": {"source": "file:///data.parquet"}},
        "pipeline": list(stages),
        "sla": LIMITS | limits,
        "output": {"destination": "file:///out", "format": output},
    }
    head = {"apiVersion": "compression-operator.io/v1alpha1", "kind": "CompressionJob", "metadata": {"name": "tiny"}}
    return parse_job({**head, "spec": spec})


def plan_of(one: CompressionJob) -> PipelinePlan:
    place = Path(one.spec.model.source.removeprefix("file://"))
    return make_plan(one.spec, inspect(open_store(place), one.spec.model))


def test_every_stage_but_the_last_gives_a_candidate_in_the_format_of_the_result(bert: Path) -> None:
    plan = plan_of(job(bert, SLIGHT, HARD, INT2))
    assert [(one.title, one.stages, one.steps[-1].format) for one in plan.fallbacks] == [
        ("slight", 1, "onnx"),
        ("hard", 2, "onnx"),
    ]
    assert all(one.measured is None for one in plan.fallbacks)
    # The export of `hard` is what the quantization starts from; that of `slight` is the only new thing.
    assert plan.fallbacks[1].fingerprint == plan.steps[-2].fingerprint
    assert [step.fingerprint for step in plan.spare_steps] == [plan.fallbacks[0].fingerprint]
    assert plan.results == {plan.fingerprint, *(one.fingerprint for one in plan.fallbacks)}


def test_the_unpacked_result_is_not_a_candidate(bert: Path) -> None:
    assert [one.title for one in plan_of(job(bert, SLIGHT, INT2, PACK)).fallbacks] == ["slight"]


def test_candidates_that_are_folders_are_exported_for_measuring(bert: Path) -> None:
    plan = plan_of(job(bert, SLIGHT, HARD, PACK))
    (candidate,) = plan.fallbacks
    assert candidate.steps[-1].format == "transformers"
    assert candidate.measured is not None
    assert candidate.measured.parent is candidate.steps[-1]
    assert plan.spare_steps == (candidate.measured,)


def test_a_changed_module_is_exported_before_it_is_published(bert: Path) -> None:
    plan = plan_of(job(bert, HEADS, HARD, output="onnx"))
    (candidate,) = plan.fallbacks
    assert [step.method.name for step in candidate.steps] == ["prune", "export"]


def test_there_are_no_candidates_without_on_violation_fallback(bert: Path) -> None:
    without_limits = job(bert, SLIGHT, INT2, quality=None)
    for one in (job(bert, SLIGHT, INT2, onViolation="Fail"), without_limits):
        plan = plan_of(one)
        assert plan.fallbacks == ()
        assert plan.spare_steps == ()


def test_only_results_of_the_plan_are_its_own_at_the_destination(bert: Path) -> None:
    plan = plan_of(job(bert, SLIGHT, INT2))
    for fingerprint, ours in ((plan.fingerprint, True), (plan.fallbacks[0].fingerprint, True), ("other", False)):
        assert is_ours({"provenance": {"fingerprint": fingerprint}}, plan.results) is ours
    before = {"provenance": {"fingerprint": plan.fallbacks[0].fingerprint}}
    assert not is_ours(before, plan_of(job(bert, SLIGHT, INT2, onViolation="Fail")).results)


BASELINE = 1000


def measurements(size: int, drop: float, width: float = 0.001, p50: float = 1.0) -> Measurements:
    """Return the measurements of a model with this size and loss; half the interval is `width`."""
    lost = Estimate(value=drop, low=drop - width, high=drop + width)
    figures = ModelFigures(size_bytes=size)
    return Measurements(
        baseline=ModelFigures(size_bytes=BASELINE),
        compressed=figures,
        estimates={
            QUALITY_DROP: lost,
            SIZE: Estimate.exact(size),
            SIZE_RATIO: Estimate.exact(size / BASELINE),
        },
        speedups={"p50": Estimate.exact(p50)},
        quality_drops={"cosine": lost},
        quality_metric="cosine",
        anomalies=[],
        latency_samples={},
        environment=Environment(),
    )


class StagedRun:
    """A run after its stages: `sizes` has the size of every step by title; it records measured candidates."""

    def __init__(self, place: Path, folder: Path, one: CompressionJob, sizes: Mapping[str, int]) -> None:
        self.job, self.plan, self.sizes, self.folder = one, plan_of(one), sizes, folder
        self.measured: list[str] = []
        self.requested: list[str] = []
        self.expected: list[list[str]] = []
        whole = self._made(self.plan.steps, sizes["whole"])
        self.models = PreparedModels(place, BASELINE, place, whole, SampleSet([], "d"), self._make, place)
        self.choice = fallback.choose(self.plan, self.models, one.spec.sla)

    def _made(self, steps: Sequence[Any], size: int) -> StepOutput:
        path = self.folder / steps[-1].fingerprint
        path.mkdir(exist_ok=True)
        (path / "model.onnx").write_bytes(bytes(size))
        stages = [
            StageReport(
                name=step.title,
                method=step.method.name,
                fingerprint=step.fingerprint,
                size_bytes=size if step is steps[-1] else self.sizes[step.title],
                seconds=1,
                reused=False,
            )
            for step in steps
        ]
        return StepOutput(artifacts.seal(path, "onnx", "text-embedding"), tuple(stages), {})

    def _make(self, step: Any) -> StepOutput:
        self.requested.append(step.fingerprint)
        candidate = next(one for one in self.plan.fallbacks if one.fingerprint == step.fingerprint)
        return self._made(candidate.steps, self.sizes[candidate.title])

    def fall_back(
        self, drops: Mapping[str, float | None], whole: float = 0.5, *, keeps_the_rate: bool = True
    ) -> RunResult:
        """Fall back, if the candidates lose `drops`, and the whole pipeline's result loses `whole`.

        A candidate with the drop None does not run.
        """
        first = measurements(self.sizes["whole"], whole, p50=2.0)
        if not keeps_the_rate:
            first.speedups.clear()
        judged = first.judgement(self.job.spec.sla)
        run_result = RunResult(self.job, self.plan, self.models.result, first, judged, "d", {})

        def measure(candidate: Candidate, result: StepOutput) -> Measurements:
            self.measured.append(candidate.title)
            drop = drops[candidate.title]
            if drop is None:
                raise BadRecipe("NotRunning", "spec.pipeline", candidate.title, "it does not run", "remove the stage")
            return measurements(result.artifact.size_bytes, drop)

        def expect(making: Sequence[Candidate], measuring: Sequence[Candidate]) -> None:
            self.expected.append([phase.title for phase in fallback.phases(self.plan, making, measuring, 60)])

        return fallback.fall_back(run_result, self.choice, self.models, measure, expect)


def staged_run(bert: Path, folder: Path, **limits: Any) -> StagedRun:
    """Return a run with three candidates: each stage makes the model smaller, except `second`, the largest."""
    names = ("first", "second", "third")
    stages = [{"prune": {"sparsity": f"0.{count}"}, "name": name} for count, name in enumerate(names, start=1)]
    sizes = {"first": 800, "second": 900, "third": 700, "export": 700, "quantize": 200, "whole": 200}
    return StagedRun(bert, folder, job(bert, *stages, INT2, **limits), sizes)


def test_the_smallest_that_passes_is_published_and_no_larger_one_is_measured(bert: Path, tmp_path: Path) -> None:
    run = staged_run(bert, tmp_path)
    run_result = run.fall_back({"third": 0.02, "first": 0.001, "second": 0.0})
    assert run.measured == ["third", "first"]
    assert run_result.judgement.verdict == "Pass"
    assert run_result.result.artifact.size_bytes == 800
    assert [stage.name for stage in run_result.result.stages] == ["first", "export"]
    report = run_result.fallback
    assert report is not None
    assert (report.published, report.given_up) == ("first", ["second", "third", "quantize"])
    assert (report.verdict, report.objectives[0].measured) == ("Fail", 0.5)
    assert [(one.stage, one.verdict, one.measured) for one in report.candidates] == [
        ("third", "Fail", True),
        ("first", "Pass", True),
        ("second", None, False),
    ]
    assert report.sentence.startswith(
        "published the model of stage first (800 B), without stages second, third, quantize (200 B, 2.00 times as fast)"
    )
    assert "pipeline is Fail: 1 limit is broken: quality.drop is 0.5000" in report.sentence
    assert run.expected[-1] == ["measure third", "measure first", "measure second"]


def test_a_candidate_that_does_not_run_does_not_hide_the_next(bert: Path, tmp_path: Path) -> None:
    run = staged_run(bert, tmp_path)
    run_result = run.fall_back({"third": None, "first": 0.001, "second": 0.0})
    assert run.measured == ["third", "first"]
    assert run_result.judgement.verdict == "Pass"
    assert run_result.fallback is not None
    failed = run_result.fallback.candidates[0]
    assert (failed.stage, failed.verdict, failed.measured) == ("third", "Fail", False)
    assert failed.sentence == "it cannot be measured: it does not run"


def test_an_overloaded_result_has_no_speed_in_the_sentence(bert: Path, tmp_path: Path) -> None:
    run_result = staged_run(bert, tmp_path).fall_back({"third": 0.001}, keeps_the_rate=False)
    assert run_result.fallback is not None
    assert "(700 B), without stage quantize (200 B); the verdict" in run_result.fallback.sentence


def test_an_undecided_candidate_is_not_good_enough(bert: Path, tmp_path: Path) -> None:
    run_result = staged_run(bert, tmp_path).fall_back({"third": 0.01, "first": 0.01, "second": 0.0})
    assert run_result.fallback is not None
    assert [one.verdict for one in run_result.fallback.candidates] == ["Inconclusive", "Inconclusive", "Pass"]
    assert run_result.fallback.published == "second"


def test_without_a_passing_candidate_the_verdict_stays(bert: Path, tmp_path: Path) -> None:
    run = staged_run(bert, tmp_path)
    run_result = run.fall_back({"third": 0.4, "first": 0.2, "second": 0.1})
    assert run_result.judgement.verdict == "Fail"
    assert run_result.result is run.models.result
    report = run_result.fallback
    assert report is not None
    assert (report.published, report.given_up) == (None, [])
    assert [(one.stage, one.objectives[0].measured) for one in report.candidates] == [
        ("third", 0.4),
        ("first", 0.2),
        ("second", 0.1),
    ]
    assert report.sentence.startswith("the models of earlier stages do not pass either")


def test_among_equal_sizes_more_stages_come_first(bert: Path, tmp_path: Path) -> None:
    run = staged_run(bert, tmp_path)
    run.sizes = dict.fromkeys(run.sizes, 700)
    run.fall_back({"third": 0.5, "second": 0.5, "first": 0.5})
    assert run.measured == ["third", "second", "first"]


def test_a_size_that_is_too_large_decides_alone_and_costs_no_confidence(bert: Path, tmp_path: Path) -> None:
    # Only the size of `third`, which the last stage starts from, is known before exports are made of the others.
    strict = staged_run(bert, tmp_path, size={"maxRatio": "0.3"})
    assert [one.title for one in strict.choice.excluded] == ["third"]
    assert strict.choice.results == 3
    run_result = strict.fall_back({})
    assert strict.measured == []
    assert run_result.fallback is not None
    assert [(one.stage, one.verdict, one.measured) for one in run_result.fallback.candidates] == [
        ("third", "Fail", False),
        ("first", "Fail", False),
        ("second", "Fail", False),
    ]
    assert [item.name for item in run_result.fallback.candidates[0].objectives] == ["size.ratio"]
    assert staged_run(bert, tmp_path).choice.results == 4


def test_the_provenance_describes_the_published_result(bert: Path, tmp_path: Path) -> None:
    run = staged_run(bert, tmp_path)
    provenance = reporting.provenance(run.fall_back({"third": 0.02, "first": 0.001}))
    assert provenance.fingerprint == run.plan.fallbacks[0].fingerprint
    assert provenance.plan == run.plan.fingerprint
    assert provenance.given_up == ["second", "third", "quantize"]
    assert [stage.name for stage in provenance.stages] == ["first", "export"]


@pytest.mark.parametrize("results", [4, 8])
def test_several_candidates_keep_the_error_rate(bert: Path, results: int) -> None:
    """All results are slightly worse than the limit: without the correction, one passes too often."""
    limits = job(bert, SLIGHT, INT2, confidence="0.9").spec.sla
    generator = np.random.default_rng(results)
    deviation = 0.001
    drops = 0.01 + 1e-9 + deviation * generator.standard_normal((3000, results))

    def passes(drop: float, half: float) -> bool:
        estimates = {QUALITY_DROP: Estimate(value=drop, low=drop - half, high=drop + half)}
        return judge(limits, estimates).verdict == "Pass"

    def wrong(confidence: float) -> float:
        half = deviation * NormalDist().inv_cdf((1 + confidence) / 2)
        return float(np.mean([any(passes(drop, half) for drop in row) for row in drops]))

    assert wrong(interval_confidence(limits, results)) <= 0.1
    assert wrong(interval_confidence(limits)) > 0.1


def test_a_job_with_one_stage_has_nothing_to_fall_back_to(bert: Path) -> None:
    for stages in ([INT2], [INT2, PACK]):
        with pytest.raises(InvalidSpec, match=r"spec\.sla\.onViolation.*no earlier stage"):
            job(bert, *stages)
