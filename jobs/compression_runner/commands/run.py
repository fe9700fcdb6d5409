"""`run`: run the pipeline of a job on this machine, without a cluster."""

import logging
import os
import shutil
import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Final

from rich.console import Console

from compression_runner import garbage_collection
from compression_runner.artifact import MARKER
from compression_runner.commands.console import PlainConsole
from compression_runner.commands.crash import CrashReporter
from compression_runner.commands.failures import Ended, explained
from compression_runner.commands.manifest import read_manifest, without_limits
from compression_runner.commands.verdict_table import show
from compression_runner.pipeline.names import CRASH_REPORT, OUTPUT, REPORT_HTML, REPORT_JSON, REPORT_MD
from compression_runner.storage import Stores
from compression_runner.telemetry import logs
from compression_runner.telemetry.console import ConsoleListener
from compression_runner.telemetry.metrics import RunMetrics
from compression_runner.telemetry.progress import RunProgress
from compression_runner.telemetry.termination import exit_on_sigterm
from compressionjob.exit_codes import ExitCode
from compressionjob.report import Report

LOG: Final = logging.getLogger("compression_runner")


def run(manifest: Path, workdir: Path, *, publish: bool, price: str | None = None) -> int:
    """Run the job and print the verdict.

    `price` is the price per hour of this machine; by default it comes from the environment. Relative paths of file://
    sources start from the manifest's folder.
    """
    logs.configure(as_json=False)
    exit_on_sigterm()
    sys.excepthook = CrashReporter()
    console = PlainConsole(stderr=True)
    try:
        with explained():
            if not publish:
                _clear(workdir)
            report = _execute(manifest, workdir.absolute(), console, publish=publish, price=price)
    except Ended as end:
        return end.status
    show(report, workdir, PlainConsole(), published=publish)
    return ExitCode.DONE if report.verdict in ("Pass", "NoLimits") else ExitCode.NOT_MET


def _clear(workdir: Path) -> None:
    """Remove the reports and the result of an earlier trial, so that they are not mistaken for new ones."""
    for name in (REPORT_JSON, REPORT_HTML, REPORT_MD, CRASH_REPORT):
        (workdir / name).unlink(missing_ok=True)
    if (workdir / OUTPUT / MARKER).is_file():
        (workdir / OUTPUT / MARKER).unlink()
        shutil.rmtree(workdir / OUTPUT)


def _execute(manifest: Path, workdir: Path, console: Console, *, publish: bool, price: str | None) -> Report:
    job = read_manifest(manifest)
    for warning in without_limits(job):
        LOG.warning("warning: %s", warning)
    # A manifest from a cluster (kubectl get -o yaml) has the uid of the job there; this run must not use its results.
    job = job.model_copy(update={"metadata": job.metadata.model_copy(update={"uid": ""})})
    # torch and onnxruntime take seconds to import: an invalid manifest is reported before that.
    with garbage_collection.importing():
        from compression_runner.pipeline.machine_lock import turn_lock
        from compression_runner.pipeline.run import Run, execute
        from compression_runner.pipeline.run_locations import of_spec, of_trial
        from compression_runner.pipeline.spending import price_of

    stores = Stores(environment=os.environ, base=manifest.absolute().parent)
    metrics = RunMetrics()
    bars = ConsoleListener(console) if console.is_terminal and sys.stderr.isatty() else None
    progress = RunProgress([metrics, bars or logs.LogListener()])
    sys.excepthook = reporter = CrashReporter(progress)
    locations = of_spec(job.spec, stores, workdir) if publish else of_trial(job.spec, stores, workdir)
    reporter.job, reporter.reports = job, locations.reports
    with closing(bars) if bars else nullcontext():
        # A trial has no reviewer.
        review = job.spec.review if publish else "Never"
        lock = turn_lock(os.environ, progress)
        price_per_hour = price_of(os.environ, price)
        return execute(Run(job, locations, progress, metrics, review, price_per_hour, lock, lock.reservation))
