"""`pod`: run the job of a pod, as the operator configured it."""

import logging
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, get_args

from compression_runner import garbage_collection
from compression_runner.commands.crash import CrashReporter
from compression_runner.commands.pod_input import PodInput
from compression_runner.commands.space import clean, space_of
from compression_runner.errors import RunnerError
from compression_runner.evaluation.machine.cpus import CpuReservation
from compression_runner.storage import Stores
from compression_runner.telemetry import logs
from compression_runner.telemetry.metrics import RunMetrics
from compression_runner.telemetry.progress import RunProgress
from compression_runner.telemetry.server import serve
from compression_runner.telemetry.termination import exit_on_sigterm, leave_message
from compressionjob.conditions import INVALID_SPEC
from compressionjob.errors import FieldProblem, InvalidSpec
from compressionjob.exit_codes import ExitCode
from compressionjob.job_parts import CLEAN, COMPRESS, PUBLISH, RUN
from compressionjob.measuring import SHARED, STATIC_CPUS, Isolation
from compressionjob.pod_interface import (
    CPUS_VARIABLE,
    ISOLATION_VARIABLE,
    PART_VARIABLE,
    PORT,
    PORT_VARIABLE,
    TERMINATION_LOG,
    TERMINATION_LOG_VARIABLE,
    WORKDIR,
    WORKDIR_VARIABLE,
)
from compressionjob.report import Summary, Violation
from compressionjob.spec import CompressionJob

LOG: Final = logging.getLogger("compression_runner")
_ISOLATIONS: Final[tuple[Isolation, ...]] = get_args(Isolation)


def pod(environment: Mapping[str, str] = os.environ) -> int:
    """Run the job, serve its progress over HTTP, and write a summary as the termination message."""
    logs.configure(as_json=True)
    exit_on_sigterm()
    message = Path(environment.get(TERMINATION_LOG_VARIABLE, TERMINATION_LOG))
    metrics = RunMetrics()
    progress = RunProgress([metrics, logs.LogListener()])
    leave = _leaving(message, progress)
    sys.excepthook = reporter = CrashReporter(progress, leave, traces=True, environment=environment)
    server = serve(progress, metrics, int(environment.get(PORT_VARIABLE, PORT)))
    try:
        summary, status = _run(environment, progress, metrics, reporter)
    finally:
        server.shutdown()
    leave_message(summary, message)
    return status


def _leaving(place: Path, progress: RunProgress) -> Callable[[Violation], None]:
    """Return a callback that writes a violation, with the failed step, as the termination message."""
    return lambda violation: leave_message(Summary(error=violation, stage=progress.failed), place)


def _run(
    environment: Mapping[str, str], progress: RunProgress, metrics: RunMetrics, reporter: CrashReporter
) -> tuple[Summary, ExitCode]:
    try:
        given = PodInput.read(environment)
        reporter.job = job = given.job()
        return _execute(job, given, environment, progress, metrics, reporter), ExitCode.DONE
    except InvalidSpec as error:
        first = error.problems[0]
        LOG.error("%s", error, extra={"reason": INVALID_SPEC, "field": first.field, "value": first.value})
        message = f"{first.value!r} is not valid"
        violation = Violation(
            reason=INVALID_SPEC, field=first.field, value=first.value, remedy=first.remedy, message=message
        )
        return Summary(error=violation), ExitCode.INVALID
    except RunnerError as error:
        from compression_runner.pipeline.reporting import violation as violation_of

        about = {"reason": error.reason, "field": error.field, "value": error.value}
        LOG.error("%s", error, extra=about)
        summary = Summary(error=violation_of(error), stage=progress.failed)
        if reporter.job is not None and environment.get(PART_VARIABLE) != CLEAN:
            summary = summary.model_copy(
                update={"space": space_of(reporter.job, _stores(reporter.job, environment), error)}
            )
        return summary, error.exit_code


def _execute(
    job: CompressionJob,
    given: PodInput,
    environment: Mapping[str, str],
    progress: RunProgress,
    metrics: RunMetrics,
    reporter: CrashReporter,
) -> Summary:
    part, stores = environment.get(PART_VARIABLE, RUN), _stores(job, environment)
    if part == CLEAN:
        return clean(job, stores, environment)
    with garbage_collection.importing():
        from compression_runner.pipeline.reporting import summarize, summarize_stages
        from compression_runner.pipeline.reviewed import publish_reviewed
        from compression_runner.pipeline.run import Run, compress, execute
        from compression_runner.pipeline.run_locations import of_spec
        from compression_runner.pipeline.spending import price_of

    LOG.info("starting", extra={"job": job.metadata.name, "namespace": job.metadata.namespace, "part": part})
    locations = of_spec(job.spec, stores, Path(environment.get(WORKDIR_VARIABLE, WORKDIR)))
    reporter.reports = locations.reports
    price, reservation = price_of(environment), reservation_of(environment)
    run = Run(job, locations, progress, metrics, job.spec.review, price, reservation=reservation)
    if part == COMPRESS:
        return summarize_stages(compress(run))
    if part == PUBLISH:
        report = publish_reviewed(run, given.review(), given.judged())
        changes = {"part": PUBLISH, "space": space_of(job, stores)}
        return summarize(report, locations.reports).model_copy(update=changes)
    summary = summarize(execute(run), locations.reports)
    return summary.model_copy(update={"space": space_of(job, stores)})


def _stores(job: CompressionJob, environment: Mapping[str, str]) -> Stores:
    """Return the stores of a job in a pod."""
    return Stores(environment=environment, base=Path("/"), job=job.metadata.uid, namespace=job.metadata.namespace)


def reservation_of(environment: Mapping[str, str]) -> CpuReservation:
    """Return the CPU reservation of this pod from the operator's variables. Raises InvalidSpec if they are invalid."""
    isolation, cpus = environment.get(ISOLATION_VARIABLE, SHARED), environment.get(CPUS_VARIABLE, "0")
    remedy = "upgrade the operator: it says what keeps others off the CPUs of the pod, and how many those are"
    allowed = next((known for known in _ISOLATIONS if known == isolation), None)
    if allowed is None:
        raise InvalidSpec([FieldProblem(ISOLATION_VARIABLE, isolation, remedy)])
    if not cpus.isdecimal() or (allowed == STATIC_CPUS and int(cpus) == 0):
        raise InvalidSpec([FieldProblem(CPUS_VARIABLE, cpus, remedy)])
    return CpuReservation(allowed, int(cpus) or None)
