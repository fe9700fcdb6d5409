"""The sequence of a run: preflight, stages, measurement, verdict, publication, report.

A job in parts uses several pods: `compress` runs the stages, and `execute` continues from their checkpoints.
"""

import functools
import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Concatenate, Final, ParamSpec, TypeVar

from compression_runner.evaluation.evaluate import measure
from compression_runner.evaluation.machine.cpus import CpuReservation, MeasuringCpus
from compression_runner.evaluation.measurements import MeasuredModel, Measurements
from compression_runner.pipeline import fallback, publishing, reporting
from compression_runner.pipeline.earlier import measuring_before
from compression_runner.pipeline.execution import StepOutput
from compression_runner.pipeline.fallback import FallbackChoice
from compression_runner.pipeline.machine_lock import NoTurns, TurnLock
from compression_runner.pipeline.planner import Candidate, PipelinePlan, Step
from compression_runner.pipeline.preflight import (
    PreflightResult,
    is_from,
    look_at_destination,
    measuring_cpus,
    preflight,
)
from compression_runner.pipeline.provider_check import require_provider
from compression_runner.pipeline.report_files import write_report
from compression_runner.pipeline.reporting import RunResult
from compression_runner.pipeline.resources import memory_limit
from compression_runner.pipeline.run_locations import RunLocations
from compression_runner.pipeline.served_models import served_models
from compression_runner.pipeline.serving_check import require_engine, require_memory
from compression_runner.pipeline.spending import require_price, run_cost
from compression_runner.pipeline.staging import PreparedModels, measured_path, stage
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
    """A job with its locations, and the listeners of its progress. `review` decides whether to publish before a review.

    `price` is the price per hour of this machine; None if unknown. `lock` keeps other runs on this machine away while
    this one measures, and `reservation` is the platform's isolation of its CPUs.
    """

    job: CompressionJob
    locations: RunLocations
    progress: RunProgress
    metrics: RunMetrics
    review: ReviewPolicy = "Never"
    price: float | None = None
    lock: TurnLock = field(default_factory=NoTurns)
    reservation: CpuReservation = field(default_factory=CpuReservation)
    began: float = field(default_factory=time.monotonic)


def uses_work_directory(work: Callable[Concatenate[Run, P], T]) -> Callable[Concatenate[Run, P], T]:
    """Let libraries write temporary files to the run's work directory, which has enough space, while `work` runs."""

    @functools.wraps(work)
    def working(run: Run, /, *args: P.args, **kwargs: P.kwargs) -> T:
        temporary = run.locations.scratch / "tmp"
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
    """Run the stages of a job, and the exports for the measurement, up to their checkpoints.

    Raises a RunnerError if a step fails.
    """
    with run.progress.phase("preflight"):
        prepared = preflight(run.job.spec, run.locations)
        run.locations.destination.require_writable()
    run.progress.expect(_stage_phases(prepared.plan), beyond=MEASURING + PUBLISHING)
    models = stage(run.job.spec, prepared, run.locations, run.progress)
    _record_sizes(run.metrics, prepared, models)
    run.progress.finish()
    return models.result.stages


@uses_work_directory
def execute(run: Run) -> Report:
    """Run a job to its report.

    Raises a RunnerError if there is no verdict; then no incomplete artifact is left at the destination.
    """
    timings: dict[str, float] = {}
    require_price(run.job.spec, run.price)
    with _timed(timings, "preflight"), run.progress.phase("preflight"):
        prepared = preflight(run.job.spec, run.locations)
        cpus = measuring_cpus(run.job.spec, run.reservation)
        require_engine(run.job.spec)
        require_provider(run.job.spec)
        require_memory(run.job.spec, prepared.source, memory_limit())
        run.locations.destination.require_writable()
    run.progress.expect(_phases(prepared.plan))
    run.progress.recall(measuring_before(run.job, run.locations.reports))
    with run.lock.compressing(), _timed(timings, "stages"):
        models = stage(run.job.spec, prepared, run.locations, run.progress)
    _record_sizes(run.metrics, prepared, models)
    choice = fallback.choose(prepared.plan, models, run.job.spec.sla)
    with run.lock.measuring(), _timed(timings, "measuring"), run.progress.phase("measure") as advance:
        measured = _measure(run, models, choice.results, cpus, advance)
    judgement = measured.judgement(run.job.spec.sla)
    run_result = RunResult(run.job, prepared.plan, models.result, measured, judgement, models.data.digest, timings)
    if prepared.plan.fallbacks and judgement.verdict != "Pass":
        with _timed(timings, "fallback", run.lock):
            run_result = _fall_back(run, run_result, choice, models, cpus)
    if run.lock.waited:
        timings["waiting"] = round(run.lock.waited, 3)
    with run.progress.phase("publish") as advance:
        report = _conclude(run, prepared, run_result, advance)
    run.progress.finish()
    return report


def _phases(plan: PipelinePlan) -> list[Phase]:
    return [*_stage_phases(plan), Phase("measure", "", MEASURING), LAST]


def _stage_phases(plan: PipelinePlan) -> list[Phase]:
    steps = [Phase(step.title, step.method.name, step.method.effort) for step in plan.every_step]
    # An import creates the tokenizer that prepares the data.
    imports, others = steps[: bool(plan.imported)], steps[bool(plan.imported) :]
    return [Phase("fetch", "", FETCHING), *imports, Phase("data", "", 2.0), *others]


def _record_sizes(metrics: RunMetrics, prepared: PreflightResult, models: PreparedModels) -> None:
    metrics.size("source", prepared.source.weights_bytes)
    for done in models.result.stages:
        metrics.size(done.name, done.size_bytes)


def _measure(
    run: Run, models: PreparedModels, results: int, cpus: MeasuringCpus, advance: Callable[[float, str], None]
) -> Measurements:
    return measure(
        run.job.spec,
        MeasuredModel(models.baseline, models.baseline_bytes, models.baseline_checkpoint),
        MeasuredModel(models.compressed, models.result.artifact.size_bytes, models.compressed_checkpoint),
        models.data,
        advance=lambda what, share: advance(share, what),
        answers_cache=run.locations.scratch / "answers",
        observer=run.metrics,
        results=results,
        price=run.price,
        cpus=cpus,
        served=served_models(run.job.spec, run.locations, models, models.result),
        tasks=models.tasks,
    )


def _fall_back(
    run: Run, run_result: RunResult, choice: FallbackChoice, models: PreparedModels, cpus: MeasuringCpus
) -> RunResult:
    """Choose an earlier result that passes; each is measured like the job's result."""

    def make(step: Step) -> StepOutput:
        with run.lock.compressing():
            return models.make(step)

    def expect(making: Sequence[Candidate], measuring: Sequence[Candidate]) -> None:
        run.progress.expect([*fallback.phases(run_result.plan, making, measuring, MEASURING), LAST])

    def measure_candidate(candidate: Candidate, result: StepOutput) -> Measurements:
        # Its stages, and so the promises of its methods, are fewer than those of the whole pipeline.
        spec = run.job.spec.model_copy(update={"pipeline": run.job.spec.pipeline[: candidate.stages]})
        graph = make(candidate.measured) if candidate.measured else result
        with run.lock.measuring(), run.progress.phase(fallback.title_of(candidate)) as advance:
            measured = measure(
                spec,
                MeasuredModel(models.baseline, models.baseline_bytes, models.baseline_checkpoint),
                MeasuredModel(
                    measured_path(graph.artifact), result.artifact.size_bytes, models.checkpoint_of(candidate.steps)
                ),
                models.data,
                advance=lambda what, share: advance(share, what),
                answers_cache=run.locations.scratch / "answers",
                results=choice.results,
                price=run.price,
                cpus=cpus,
                served=served_models(spec, run.locations, models, result),
                tasks=models.tasks,
            )
        return measured

    return fallback.fall_back(run_result, choice, replace(models, make=make), measure_candidate, expect)


def _conclude(
    run: Run, prepared: PreflightResult, run_result: RunResult, advance: Callable[[float, str], None]
) -> Report:
    """Publish the result if its verdict and the review allow it, and then write the report.

    Another job may have published at the destination since preflight, so it is checked again.
    """
    locations, provenance = run.locations, reporting.provenance(run_result)
    publication = publication_of(run_result.judgement.verdict, run.job.spec.sla.on_violation, run.review)
    if publication == PUBLISH:
        existing = look_at_destination(locations, prepared.plan.results)
        artifact = run_result.result.artifact
        count = counting(artifact.size_bytes, advance, 0.9)
        if publishing.holds(locations.destination, existing, artifact):
            LOG.info("the destination already has this result; it is kept")
        else:
            publishing.publish(
                artifact, provenance.to_json(), locations.destination, existing, locations.scratch, count
            )
    else:
        publishing.withdraw(locations.destination, lambda existing: is_from(existing, run.job))
    report = reporting.make_report(run_result, provenance, locations.destination, publication)
    spent = run_cost(time.monotonic() - run.began, run.price, report.baseline, report.compressed)
    report = report.model_copy(update={"cost": spent})
    advance(0.95, "report")
    write_report(report, locations.reports)
    return report


@contextmanager
def _timed(timings: dict[str, float], name: str, lock: TurnLock | None = None) -> Iterator[None]:
    """Record the seconds of the block, without the time that it waited for the lock."""

    def worked() -> float:
        return time.monotonic() - (lock.waited if lock else 0.0)

    start = worked()
    yield
    timings[name] = round(worked() - start, 3)
