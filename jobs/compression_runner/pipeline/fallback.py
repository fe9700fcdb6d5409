"""Where the whole pipeline's result is not a Pass: the smallest result of an earlier stage that is one.

Nothing is made again: stages' results are taken from checkpoints, and what is added is measuring, with a conversion
where the planner foresaw one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from compression_runner.evaluation.evaluate import Measurements
from compression_runner.pipeline.execution import Made
from compression_runner.pipeline.planner import Candidate, Plan, Step
from compression_runner.pipeline.reporting import Facts
from compression_runner.pipeline.staging import Staged
from compression_runner.telemetry.phase import Phase
from compressionjob import sla
from compressionjob.estimate import Estimate
from compressionjob.objectives import Sla
from compressionjob.report import CandidateReport, FallbackReport
from compressionjob.schema import format_bytes
from compressionjob.sla import Judgement, judge

Measure = Callable[[Candidate, Made], Measurements]
"""Measures a candidate's result against the baseline."""
Expect = Callable[[Sequence[Candidate], Sequence[Candidate]], None]
"""Is told which candidates will be made, and which will be measured, in this order."""

_NOT_NEEDED: Final = "not measured: a smaller one passes"


@dataclass(frozen=True)
class Choice:
    """The candidates of a job: `possible` are those to try, `excluded` those whose size alone decides."""

    possible: tuple[Candidate, ...]
    excluded: tuple[Candidate, ...]
    sizes: Mapping[str, int]
    """By fingerprint, where they are known before anything else is made."""

    @property
    def results(self) -> int:
        """How many results may be judged by what is measured, the whole pipeline's included."""
        return 1 + len(self.possible)


def choose(plan: Plan, staged: Staged, limits: Sla) -> Choice:
    """Which earlier results are worth measuring, from their sizes, which are counted: no confidence is spent on them.

    It is known before anything is measured, as the correction for the number of results demands.
    """
    sizes = {stage.fingerprint: stage.size_bytes for stage in staged.result.stages}
    sizes = {one.fingerprint: sizes[one.fingerprint] for one in plan.fallbacks if one.fingerprint in sizes}
    known = {print_: _by_size(limits, size, staged.baseline_bytes).verdict == "Fail" for print_, size in sizes.items()}
    excluded = tuple(one for one in plan.fallbacks if known.get(one.fingerprint))
    return Choice(tuple(one for one in plan.fallbacks if one not in excluded), excluded, sizes)


def phases(plan: Plan, making: Sequence[Candidate], measuring: Sequence[Candidate], weight: float) -> list[Phase]:
    """What is to come: conversions of those whose size is not known, and the measuring of each, of this weight."""
    found: list[Phase] = []
    spare = {step.fingerprint: step for step in plan.spare_steps}

    def add(*steps: Step | None) -> None:
        fresh = [spare.pop(step.fingerprint) for step in steps if step and step.fingerprint in spare]
        found.extend(Phase(step.title, step.method.name, step.method.effort) for step in fresh)

    for candidate in making:
        add(*candidate.steps)
    for candidate in measuring:
        add(candidate.measured)
        found.append(Phase(title_of(candidate), "", weight))
    return found


def title_of(candidate: Candidate) -> str:
    """What the measuring of a candidate is called in logs and status."""
    return f"measure {candidate.title}"


def fall_back(facts: Facts, choice: Choice, staged: Staged, measure: Measure, expect: Expect) -> Facts:
    """The facts of the smallest candidate that passes, or those that were given, with the story of every candidate."""
    limits, baseline = facts.job.spec.sla, staged.baseline_bytes
    unknown = [one for one in choice.possible if one.fingerprint not in choice.sizes]
    expect(unknown, choice.possible)
    made = {one.fingerprint: staged.make(one.steps[-1]).artifact.size_bytes for one in unknown}
    sizes = {**choice.sizes, **made}
    # Of equal size, the one that has been through more stages: less is given up.
    order = sorted(choice.possible, key=lambda one: (sizes[one.fingerprint], -one.stages))
    expect([], order)
    told = [_told(one, sizes, _by_size(limits, sizes[one.fingerprint], baseline)) for one in choice.excluded]
    for index, candidate in enumerate(order):
        by_size = _by_size(limits, sizes[candidate.fingerprint], baseline)
        if by_size.verdict == "Fail":
            told.append(_told(candidate, sizes, by_size))
            continue
        result = staged.make(candidate.steps[-1])
        measured = measure(candidate, result)
        judgement = measured.judgement(limits)
        told.append(_told(candidate, sizes, judgement, measured))
        if judgement.verdict == "Pass":
            told.extend(_told(one, sizes, None) for one in order[index + 1 :])
            chosen = replace(facts, result=result, measurements=measured, judgement=judgement)
            return replace(chosen, fallback=_story(facts, chosen, candidate, told, choice.results))
    return replace(facts, fallback=_story(facts, None, None, told, choice.results))


def _by_size(limits: Sla, size: int, baseline: int) -> Judgement:
    """The verdict as far as the size alone gives one: Fail is certain, and Pass only where no other limit is set."""
    counted = {sla.SIZE: Estimate.exact(size), sla.SIZE_RATIO: Estimate.exact(size / baseline)}
    return judge(limits, counted)


def _told(
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


def _story(
    whole: Facts, chosen: Facts | None, candidate: Candidate | None, told: list[CandidateReport], results: int
) -> FallbackReport:
    spec, found = whole.job.spec, whole.measurements
    given_up = [stage.title for stage in spec.pipeline[candidate.stages :]] if candidate else []
    return FallbackReport(
        sentence=_sentence(whole, chosen, candidate, given_up),
        published=candidate.title if candidate else None,
        given_up=given_up,
        verdict=whole.judgement.verdict,
        verdict_sentence=whole.judgement.sentence(),
        objectives=list(whole.judgement.objectives),
        figures=found.compressed,
        speedups=found.speedups,
        stages=list(whole.result.stages),
        candidates=told,
        results=results,
    )


def _sentence(whole: Facts, chosen: Facts | None, candidate: Candidate | None, given_up: list[str]) -> str:
    failed = f"the whole pipeline's verdict is {whole.judgement.verdict}: {whole.judgement.sentence()}"
    if chosen is None or candidate is None:
        return f"no earlier stage's result passes either; {failed}"
    size, before = whole.result.artifact.size_bytes, chosen.result.artifact.size_bytes
    lost = f"with which it would be {format_bytes(size)} instead of {format_bytes(before)}"
    # In a queue, a model that cannot keep the rate has no speed to compare.
    speeds = [found.measurements.speedups.get("p50") for found in (whole, chosen)]
    if speeds[0] and speeds[1]:
        lost += f" and {speeds[0].value / speeds[1].value:.2f} times as fast"
    return f"the result of {candidate.title} is published; given up: {', '.join(given_up)}, {lost}; {failed}"
