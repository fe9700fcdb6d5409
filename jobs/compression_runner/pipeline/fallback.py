"""If the result of the whole pipeline does not pass, choose the smallest result of an earlier stage that passes.

No stage runs again: results of stages come from checkpoints. Only measurements are added, and conversions that the
planner has planned.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from compression_runner.errors import BadRecipe
from compression_runner.evaluation.measurements import Measurements
from compression_runner.pipeline.execution import StepOutput
from compression_runner.pipeline.planner import Candidate, PipelinePlan, Step
from compression_runner.pipeline.reporting import RunResult
from compression_runner.pipeline.staging import PreparedModels
from compression_runner.telemetry.phase import Phase
from compressionjob.estimate import Estimate
from compressionjob.field_types import format_bytes
from compressionjob.objectives import Sla
from compressionjob.report import CandidateReport, FallbackReport
from compressionjob.sla_objectives import SIZE, SIZE_RATIO
from compressionjob.verdict import Judgement, judge

Measure = Callable[[Candidate, StepOutput], Measurements]
"""Measures a candidate's result against the baseline."""
Expect = Callable[[Sequence[Candidate], Sequence[Candidate]], None]
"""Takes the candidates that will be created, and those that will be measured, in this order."""

_NOT_NEEDED: Final = "not measured: a smaller one passes"


@dataclass(frozen=True)
class FallbackChoice:
    """The candidates of a job: `possible` ones are measured, `excluded` ones fail by their size alone."""

    possible: tuple[Candidate, ...]
    excluded: tuple[Candidate, ...]
    sizes: Mapping[str, int]
    """Known sizes by fingerprint."""

    @property
    def results(self) -> int:
        """Number of results that may be judged, including the whole pipeline's."""
        return 1 + len(self.possible)


def choose(plan: PipelinePlan, models: PreparedModels, limits: Sla) -> FallbackChoice:
    """Choose the earlier results to measure by their sizes, which are exact and need no confidence.

    This happens before any measurement, as the correction for the number of results requires.
    """
    sizes = {stage.fingerprint: stage.size_bytes for stage in models.result.stages}
    sizes = {one.fingerprint: sizes[one.fingerprint] for one in plan.fallbacks if one.fingerprint in sizes}
    known = {print_: _by_size(limits, size, models.baseline_bytes).verdict == "Fail" for print_, size in sizes.items()}
    excluded = tuple(one for one in plan.fallbacks if known.get(one.fingerprint))
    return FallbackChoice(tuple(one for one in plan.fallbacks if one not in excluded), excluded, sizes)


def phases(
    plan: PipelinePlan, making: Sequence[Candidate], measuring: Sequence[Candidate], weight: float
) -> list[Phase]:
    """Return the coming phases: conversions of candidates with unknown size, and measurements with this weight."""
    coming: list[Phase] = []
    spare = {step.fingerprint: step for step in plan.spare_steps}

    def add(*steps: Step | None) -> None:
        fresh = [spare.pop(step.fingerprint) for step in steps if step and step.fingerprint in spare]
        coming.extend(Phase(step.title, step.method.name, step.method.effort) for step in fresh)

    for candidate in making:
        add(*candidate.steps)
    for candidate in measuring:
        add(candidate.measured)
        coming.append(Phase(title_of(candidate), "", weight))
    return coming


def title_of(candidate: Candidate) -> str:
    """Return the title of a candidate's measurement in logs and status."""
    return f"measure {candidate.title}"


def fall_back(
    run_result: RunResult, choice: FallbackChoice, models: PreparedModels, measure: Measure, expect: Expect
) -> RunResult:
    """Return the result of the smallest candidate that passes, or the given one, with a report of all candidates.

    A candidate that does not run fails.
    """
    limits, baseline = run_result.job.spec.sla, models.baseline_bytes
    unknown = [one for one in choice.possible if one.fingerprint not in choice.sizes]
    expect(unknown, choice.possible)
    made = {one.fingerprint: models.make(one.steps[-1]).artifact.size_bytes for one in unknown}
    sizes = {**choice.sizes, **made}
    # Of equal sizes, prefer the one with more stages.
    order = sorted(choice.possible, key=lambda one: (sizes[one.fingerprint], -one.stages))
    expect([], order)
    reports = [
        _candidate_report(one, sizes, _by_size(limits, sizes[one.fingerprint], baseline)) for one in choice.excluded
    ]
    for index, candidate in enumerate(order):
        by_size = _by_size(limits, sizes[candidate.fingerprint], baseline)
        if by_size.verdict == "Fail":
            reports.append(_candidate_report(candidate, sizes, by_size))
            continue
        result = models.make(candidate.steps[-1])
        try:
            measured = measure(candidate, result)
        except BadRecipe as error:
            reports.append(_not_running(candidate, sizes, error))
            continue
        judgement = measured.judgement(limits)
        reports.append(_candidate_report(candidate, sizes, judgement, measured))
        if judgement.verdict == "Pass":
            reports.extend(_candidate_report(one, sizes, None) for one in order[index + 1 :])
            chosen = replace(run_result, result=result, measurements=measured, judgement=judgement)
            return replace(chosen, fallback=_fallback_report(run_result, chosen, candidate, reports, choice.results))
    return replace(run_result, fallback=_fallback_report(run_result, None, None, reports, choice.results))


def _by_size(limits: Sla, size: int, baseline: int) -> Judgement:
    """Return the verdict by the size alone: Fail is certain, and Pass is certain only without other limits."""
    counted = {SIZE: Estimate.exact(size), SIZE_RATIO: Estimate.exact(size / baseline)}
    return judge(limits, counted)


def _candidate_report(
    candidate: Candidate, sizes: Mapping[str, int], judgement: Judgement | None, measured: Measurements | None = None
) -> CandidateReport:
    decided = [one for one in judgement.objectives if measured or one.verdict == "Fail"] if judgement else []
    return CandidateReport(
        stage=candidate.title,
        fingerprint=candidate.fingerprint,
        size_bytes=sizes.get(candidate.fingerprint),
        measured=measured is not None,
        verdict=judgement.verdict if judgement else None,
        sentence=judgement.sentence() if judgement else _NOT_NEEDED,
        objectives=decided,
        quality=measured.compressed.quality if measured else {},
    )


def _not_running(candidate: Candidate, sizes: Mapping[str, int], error: BadRecipe) -> CandidateReport:
    return CandidateReport(
        stage=candidate.title,
        fingerprint=candidate.fingerprint,
        size_bytes=sizes[candidate.fingerprint],
        measured=False,
        verdict="Fail",
        sentence=f"it cannot be measured: {error.problem}",
    )


def _fallback_report(
    whole: RunResult,
    chosen: RunResult | None,
    candidate: Candidate | None,
    candidates: list[CandidateReport],
    results: int,
) -> FallbackReport:
    spec, measurements = whole.job.spec, whole.measurements
    given_up = [stage.title for stage in spec.pipeline[candidate.stages :]] if candidate else []
    return FallbackReport(
        sentence=_sentence(whole, chosen, candidate, given_up),
        published=candidate.title if candidate else None,
        given_up=given_up,
        verdict=whole.judgement.verdict,
        verdict_sentence=whole.judgement.sentence(),
        objectives=list(whole.judgement.objectives),
        figures=measurements.compressed,
        speedups=measurements.speedups,
        stages=list(whole.result.stages),
        candidates=candidates,
        results=results,
    )


def _sentence(whole: RunResult, chosen: RunResult | None, candidate: Candidate | None, given_up: list[str]) -> str:
    failed = f"the verdict on the whole pipeline is {whole.judgement.verdict}: {whole.judgement.sentence()}"
    if chosen is None or candidate is None:
        return f"the models of earlier stages do not pass either; {failed}"
    size, smaller = (format_bytes(result.result.artifact.size_bytes) for result in (chosen, whole))
    stages = f"{'stage' if len(given_up) == 1 else 'stages'} {', '.join(given_up)}"
    # In a queue, a model that cannot keep up with the rate has no speed-up.
    speeds = [result.measurements.speedups.get("p50") for result in (whole, chosen)]
    faster = f", {speeds[0].value / speeds[1].value:.2f} times as fast" if speeds[0] and speeds[1] else ""
    published = f"published the model of stage {candidate.title} ({size}), without {stages} ({smaller}{faster})"
    return f"{published}; {failed}"
