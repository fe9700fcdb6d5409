"""The story of a run: preflight, stages, measuring, verdict, publication, report.

A job in parts tells it in several pods: `compress` up to the stages, `execute` from their checkpoints on.
"""

import functools
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Concatenate, Final, ParamSpec, TypeVar

from compression_runner.evaluation.evaluate import Measurements, Subject, measure
from compression_runner.evaluation.machine.cpus import CpuReservation, MeasuringCpus
from compression_runner.pipeline import fallback, publishing, reporting
from compression_runner.pipeline.earlier import measuring_before
from compression_runner.pipeline.execution import Made
from compression_runner.pipeline.fallback import Choice
from compression_runner.pipeline.machine_lock import NoTurns, TurnLock
from compression_runner.pipeline.places import Places
from compression_runner.pipeline.planner import Candidate, Plan, Step
from compression_runner.pipeline.preflight import Prepared, is_from, look_at_destination, measuring_cpus, preflight
from compression_runner.pipeline.report_files import write_report
from compression_runner.pipeline.reporting import Facts
from compression_runner.pipeline.spending import require_price, run_cost
from compression_runner.pipeline.staging import Staged, stage
from compression_runner.telemetry.metrics import RunMetrics
from compression_runner.telemetry.phase import Phase
from compression_runner.telemetry.progress import RunProgress, counting
from compressionjob.publication import PUBLISH, publication_of
from compressionjob.report import Report, StageReport
from compressionjob.review import ReviewPolicy
from compressionjob.spec import CompressionJob

P = ParamSpec("P")
T = TypeVar("T")

LOG: Final = logging.getLogger(__name__)
FETCHING, MEASURING, PUBLISHING = 5.0, 60.0, 3.0
LAST: Final = Phase("publish", "", PUBLISHING)


@dataclass(frozen=True)
class Run:
    """One job on its way, and who is told about it. `review` is whose decision publishing waits for.

    `price` is that of an hour of this machine, None where it is not known. `lock` keeps other runs on this machine off
    while this one measures, and `reservation` says what else does.
    """

    job: CompressionJob
    places: Places
    progress: RunProgress
    metrics: RunMetrics
    review: ReviewPolicy = "Never"
    price: float | None = None
    lock: TurnLock = field(default_factory=NoTurns)
    reservation: CpuReservation = field(default_factory=CpuReservation)
    began: float = field(default_factory=time.monotonic)


def uses_work_directory(work: Callable[Concatenate[Run, P], T]) -> Callable[Concatenate[Run, P], T]:
    """Have libraries write temporary files to the run's work directory, where there is room, while `work` runs."""

    @functools.wraps(work)
    def working(run: Run, /, *args: P.args, **kwargs: P.kwargs) -> T:
        temporary = run.places.scratch / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        before = tempfile.tempdir
        tempfile.tempdir = str(temporary)
        try:
            return work(run, *args, **kwargs)
        finally:
            tempfile.tempdir = before

    return working


@uses_work_directory
def compress(run: Run) -> tuple[StageReport, ...]:
    """Runs the stages of a job, and what measuring will need, up to their checkpoints.

    Raises a RunnerError where that cannot be.
    """
    with run.progress.phase("preflight"):
        prepared = preflight(run.job.spec, run.places)
        run.places.destination.require_writable()
    run.progress.expect(_stage_phases(prepared.plan), beyond=MEASURING + PUBLISHING)
    staged = stage(run.job.spec, prepared, run.places, run.progress)
    _tell_sizes(run.metrics, prepared, staged)
    run.progress.finish()
    return staged.result.stages


@uses_work_directory
def execute(run: Run) -> Report:
    """Runs a job to its report.

    Raises a RunnerError where it cannot come to a verdict; nothing is left half-published then.
    """
    timings: dict[str, float] = {}
    require_price(run.job.spec, run.price)
    with _timed(timings, "preflight"), run.progress.phase("preflight"):
        prepared = preflight(run.job.spec, run.places)
        cpus = measuring_cpus(run.job.spec, run.reservation)
        run.places.destination.require_writable()
    run.progress.expect(_phases(prepared.plan))
    run.progress.recall(measuring_before(run.job, run.places.reports))
    with run.lock.compressing(), _timed(timings, "stages"):
        staged = stage(run.job.spec, prepared, run.places, run.progress)
    _tell_sizes(run.metrics, prepared, staged)
    choice = fallback.choose(prepared.plan, staged, run.job.spec.sla)
    with run.lock.measuring(), _timed(timings, "measuring"), run.progress.phase("measure") as advance:
        measured = _measure(run, staged, choice.results, cpus, advance)
    judgement = measured.judgement(run.job.spec.sla)
    facts = Facts(run.job, prepared.plan, staged.result, measured, judgement, staged.data.digest, timings)
    if prepared.plan.fallbacks and judgement.verdict != "Pass":
        with _timed(timings, "fallback", run.lock):
            facts = _fall_back(run, facts, choice, staged, cpus)
    if run.lock.waited:
        timings["waiting"] = round(run.lock.waited, 3)
    with run.progress.phase("publish") as advance:
        report = _conclude(run, prepared, facts, advance)
    run.progress.finish()
    return report


def _phases(plan: Plan) -> list[Phase]:
    return [*_stage_phases(plan), Phase("measure", "", MEASURING), LAST]


def _stage_phases(plan: Plan) -> list[Phase]:
    steps = [Phase(step.title, step.method.name, step.method.effort) for step in plan.every_step]
    # The tokenizer that the data is prepared with comes out of an import.
    imports, others = steps[: bool(plan.imported)], steps[bool(plan.imported) :]
    return [Phase("fetch", "", FETCHING), *imports, Phase("data", "", 2.0), *others]


def _tell_sizes(metrics: RunMetrics, prepared: Prepared, staged: Staged) -> None:
    metrics.size("source", prepared.source.weights_bytes)
    for done in staged.result.stages:
        metrics.size(done.name, done.size_bytes)


def _measure(
    run: Run, staged: Staged, results: int, cpus: MeasuringCpus, advance: Callable[[float, str], None]
) -> Measurements:
    return measure(
        run.job.spec,
        Subject(staged.baseline, staged.baseline_bytes, staged.baseline_checkpoint),
        Subject(staged.compressed, staged.result.artifact.size_bytes, staged.compressed_checkpoint),
        staged.data,
        advance=lambda what, share: advance(share, what),
        answers_cache=run.places.scratch / "answers",
        observer=run.metrics,
        results=results,
        price=run.price,
        cpus=cpus,
    )


def _fall_back(run: Run, facts: Facts, choice: Choice, staged: Staged, cpus: MeasuringCpus) -> Facts:
    """Looks for an earlier result that passes; each is measured as the job's result was."""

    def make(step: Step) -> Made:
        with run.lock.compressing():
            return staged.make(step)

    def expect(making: Sequence[Candidate], measuring: Sequence[Candidate]) -> None:
        run.progress.expect([*fallback.phases(facts.plan, making, measuring, MEASURING), LAST])

    def measure_candidate(candidate: Candidate, result: Made) -> Measurements:
        # Its methods promise less than those of the whole pipeline.
        spec = run.job.spec.model_copy(update={"pipeline": run.job.spec.pipeline[: candidate.stages]})
        graph = make(candidate.measured) if candidate.measured else result
        with run.lock.measuring(), run.progress.phase(fallback.title_of(candidate)) as advance:
            measured = measure(
                spec,
                Subject(staged.baseline, staged.baseline_bytes, staged.baseline_checkpoint),
                Subject(graph.artifact.model_file, result.artifact.size_bytes, staged.checkpoint_of(candidate.steps)),
                staged.data,
                advance=lambda what, share: advance(share, what),
                answers_cache=run.places.scratch / "answers",
                results=choice.results,
                price=run.price,
                cpus=cpus,
            )
        return measured

    return fallback.fall_back(facts, choice, replace(staged, make=make), measure_candidate, expect)


def _conclude(run: Run, prepared: Prepared, facts: Facts, advance: Callable[[float, str], None]) -> Report:
    """Publishes what may be published; the report comes last in any case.

    Hours after preflight, another job may have published at the destination: it is looked at again.
    """
    places, provenance = run.places, reporting.provenance(facts)
    publication = publication_of(facts.judgement.verdict, run.job.spec.sla.on_violation, run.review)
    if publication == PUBLISH:
        existing = look_at_destination(places, prepared.plan.results)
        artifact = facts.result.artifact
        count = counting(artifact.size_bytes, advance, 0.9)
        if publishing.holds(places.destination, existing, artifact):
            LOG.info("the destination holds this very result; it is kept")
        else:
            publishing.publish(artifact, provenance.to_json(), places.destination, existing, places.scratch, count)
    else:
        publishing.withdraw(places.destination, lambda existing: is_from(existing, run.job))
    report = reporting.make_report(facts, provenance, places.destination, publication)
    spent = run_cost(time.monotonic() - run.began, run.price, report.baseline, report.compressed)
    report = report.model_copy(update={"cost": spent})
    advance(0.95, "report")
    write_report(report, places.reports)
    return report


@contextmanager
def _timed(timings: dict[str, float], name: str, lock: TurnLock | None = None) -> Iterator[None]:
    """Keep the seconds of the block, without those in which it waited for the lock."""

    def worked() -> float:
        return time.monotonic() - (lock.waited if lock else 0.0)

    start = worked()
    yield
    timings[name] = round(worked() - start, 3)
