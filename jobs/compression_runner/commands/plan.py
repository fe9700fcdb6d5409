"""`plan`: what a job would do, with sizes and a memory estimate; only headers are read."""

import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from compression_runner.commands.console import PlainConsole
from compression_runner.commands.crash import CrashReporter
from compression_runner.commands.failures import LOG, Ended, explained
from compression_runner.commands.manifest import read_manifest, without_limits
from compression_runner.commands.power import Planned, power_of, undecidable
from compression_runner.evaluation.machine.cpus import choose_cpus
from compression_runner.pipeline.forecast import TimeForecast
from compression_runner.pipeline.places import of_spec, of_trial
from compression_runner.pipeline.preflight import Prepared, preflight
from compression_runner.pipeline.resources import memory_limit
from compression_runner.pipeline.spending import price_of, require_price
from compression_runner.storage import Stores
from compression_runner.telemetry import logs
from compressionjob.exit_codes import ExitCode
from compressionjob.schema import format_bytes, format_duration
from compressionjob.sla import objectives_of
from compressionjob.spec import CompressionJob


def plan(manifest: Path, *, publish: bool, price: str | None = None) -> int:
    """Prints the plan; the exit status is that of a run that would end in preflight."""
    logs.configure(as_json=False)
    sys.excepthook = reporter = CrashReporter()
    try:
        with explained(), tempfile.TemporaryDirectory() as workdir:
            reporter.job = job = read_manifest(manifest)
            require_price(job.spec, price_of(os.environ, price))
            stores = Stores(environment=os.environ, base=manifest.absolute().parent)
            places = of_spec if publish else of_trial
            prepared = preflight(job.spec, places(job.spec, stores, Path(workdir)))
    except Ended as end:
        return end.status
    _print(job, prepared, PlainConsole())
    for warning in (*without_limits(job), *undecidable(planned_of(job, prepared))):
        LOG.warning("warning: %s", warning)
    return ExitCode.DONE


def planned_of(job: CompressionJob, prepared: Prepared) -> Planned:
    """Return what is known of the job's power before it runs: with fewer samples than files or limit it is less."""
    evaluation, samples = prepared.data["evaluation"], job.spec.data.evaluation.limit
    if evaluation.classes is not None:
        samples = min(samples, len(evaluation.entries))
    return Planned(job.spec, samples, results=1 + len(prepared.plan.fallbacks))


def _print_objectives(planned: Planned, console: Console) -> None:
    objectives = objectives_of(planned.spec.sla)
    for objective in objectives:
        console.print(f"objective: {objective.name} {objective.direction} {objective.limit:g} ({objective.unit})")
        console.print(f"  tells apart: {power_of(objective, planned)}", highlight=False)
    if objectives:
        console.print(
            "tells apart: how far a limit must be from the true figure to be decided, at confidence "
            f"{planned.spec.sla.confidence:g} over all objectives and looks, on a quiet machine and with as many "
            "samples as spec.data.evaluation.limit allows"
        )


def _time(forecast: TimeForecast) -> str:
    """Return how long the run takes, as a range: limits that are decided early end it early."""
    least, most = (format_duration(round(seconds, -1) or 5) for seconds in (forecast.least, forecast.most))
    trained = f", and the training of {', '.join(forecast.trained)}" if forecast.trained else ""
    return f"time: {least} to {most}{trained}, beside fetching; open limits are measured until spec.benchmark.timeLimit"


def _print(job: CompressionJob, prepared: Prepared, console: Console) -> None:
    source = prepared.source
    console.print(f"[bold]{job.metadata.name}[/]: {source.architecture}, {source.parameters / 1e6:.1f} million weights")
    console.print(f"source: {job.spec.model.source} ({source.format}, {format_bytes(source.weights_bytes)} of weights)")
    for field, part in job.spec.data.sources():
        size = prepared.data[field.split(".")[2]].size  # type: ignore[index]
        console.print(f"{field.split('.')[2]} data: {part.source} ({format_bytes(size)})")
    table = Table("step", "method", "parameters", "fingerprint")
    for step in prepared.plan.steps:
        settings = ", ".join(f"{name}={value}" for name, value in step.settings.items())
        table.add_row(step.title, step.method.name, settings or "-", step.fingerprint[:12])
    console.print(table)
    for candidate in prepared.plan.fallbacks:
        console.print(f"fallback: the result of {candidate.title} ({candidate.steps[-1].format})")
    baseline = "a checked ONNX export of the source" if prepared.plan.baseline else "the source"
    engine = "OpenVINO" if prepared.plan.steps[-1].format == "openvino" else "onnxruntime"
    cpus = len(choose_cpus(job.spec.benchmark.threads).numbers)
    console.print(f"measured against: {baseline}, in {engine} on {cpus} CPUs")
    _print_objectives(planned_of(job, prepared), console)
    memory = prepared.memory
    console.print(
        f"memory: about {format_bytes(memory.expected)} for {memory.step}, at least {format_bytes(memory.least)}; "
        f"{format_bytes(memory_limit())} are allowed here"
    )
    console.print(_time(prepared.time), highlight=False)
    console.print(f"disk: up to {format_bytes(prepared.disk_bytes)} in the work directory")
    console.print(f"result: {job.spec.output.destination}")
