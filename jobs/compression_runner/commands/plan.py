"""`plan`: show the stages, sizes and memory of a job; reads only headers."""

import os
import sys
import tempfile
from pathlib import Path

from rich.table import Table
from rich.text import Text

from compression_runner.commands.console import PlainConsole
from compression_runner.commands.crash import CrashReporter
from compression_runner.commands.failures import LOG, Ended, explained
from compression_runner.commands.manifest import read_manifest, without_limits
from compression_runner.commands.power import Planned, power_of, undecidable
from compression_runner.evaluation.machine.cpus import choose_cpus
from compression_runner.pipeline.forecast import TimeForecast
from compression_runner.pipeline.preflight import PreflightResult, preflight
from compression_runner.pipeline.provider_check import require_provider
from compression_runner.pipeline.resources import memory_limit
from compression_runner.pipeline.run_locations import of_spec, of_trial
from compression_runner.pipeline.serving_check import require_engine, require_memory
from compression_runner.pipeline.spending import price_of, require_price
from compression_runner.storage import Stores
from compression_runner.telemetry import logs
from compressionjob.data import ROLES, DataSource
from compressionjob.engines import GPU_ENGINES, TORCH_ENGINES
from compressionjob.exit_codes import ExitCode
from compressionjob.field_types import format_bytes, format_duration
from compressionjob.serving import Serving
from compressionjob.sla_objectives import objectives_of
from compressionjob.spec import CompressionJob


def plan(manifest: Path, *, publish: bool, price: str | None = None) -> int:
    """Print the plan; return the exit status that a run would have after preflight."""
    logs.configure(as_json=False)
    sys.excepthook = reporter = CrashReporter()
    try:
        with explained(), tempfile.TemporaryDirectory() as workdir:
            reporter.job = job = read_manifest(manifest)
            require_price(job.spec, price_of(os.environ, price))
            stores = Stores(environment=os.environ, base=manifest.absolute().parent)
            locations = of_spec if publish else of_trial
            prepared = preflight(job.spec, locations(job.spec, stores, Path(workdir)))
            require_engine(job.spec)
            require_provider(job.spec)
            require_memory(job.spec, prepared.source, memory_limit())
    except Ended as end:
        return end.status
    _print(job, prepared, PlainConsole())
    for warning in (*without_limits(job), *undecidable(planned_of(job, prepared))):
        LOG.warning("warning: %s", warning)
    return ExitCode.DONE


def planned_of(job: CompressionJob, prepared: PreflightResult) -> Planned:
    """Return the inputs of the job's statistical power; the data may have fewer samples than files or limit."""
    evaluation, samples = prepared.data["evaluation"], job.spec.data.evaluation.limit
    if evaluation.classes is not None:
        samples = min(samples, len(evaluation.entries))
    return Planned(job.spec, samples, results=1 + len(prepared.plan.fallbacks))


def _print_objectives(planned: Planned, console: PlainConsole) -> None:
    objectives = objectives_of(planned.spec.sla)
    for objective in objectives:
        console.print(f"objective: {objective.name} {objective.direction} {objective.limit:g} ({objective.unit})")
        console.print(f"  decides a difference of: {power_of(objective, planned)}", highlight=False)
    if objectives:
        console.print(
            "decides a difference of: how far a limit must be from the true value to be decided, at confidence "
            f"{planned.spec.sla.confidence:g} over all objectives and looks, on a quiet machine and with as many "
            "samples as spec.data.evaluation.limit allows"
        )


def _time(forecast: TimeForecast) -> str:
    """Return the time of the run as a range: a run ends early if its limits are decided early."""
    least, most = (format_duration(round(seconds, -1) or 5) for seconds in (forecast.least, forecast.most))
    trained = f", and the training of {', '.join(forecast.trained)}" if forecast.trained else ""
    return f"time: {least} to {most}{trained}, beside fetching; open limits are measured until spec.benchmark.timeLimit"


def _load(serving: Serving) -> str:
    if serving.find_max_rate:
        return "at the highest rate that meets the limits"
    return f"{serving.concurrency} at a time" if serving.concurrency else f"{serving.request_rate:g} a second"


def _print(job: CompressionJob, prepared: PreflightResult, console: PlainConsole) -> None:
    source = prepared.source
    name, weights = Text(job.metadata.name, style="bold"), f"{source.parameters / 1e6:.1f} million weights"
    console.print(name, f": {source.architecture}, {weights}", sep="")
    console.print(f"source: {job.spec.model.source} ({source.format}, {format_bytes(source.weights_bytes)} of weights)")
    for role in ROLES:
        part: DataSource | None = getattr(job.spec.data, role)
        if part is not None:
            console.print(f"{role} data: {part.source} ({format_bytes(prepared.data[role].size)})")
    for task, files in zip(job.spec.data.tasks, prepared.tasks, strict=True):
        shots = f", {task.few_shot} examples" if task.few_shot else ""
        about = f"{task.kind}, {task.measured_by}, up to {task.limit} questions{shots}"
        console.print(f"task {task.name}: {task.source} ({format_bytes(files.size)}), {about}", highlight=False)
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
    device = f"{cpus} CPUs"
    if job.spec.benchmark.engine in (*GPU_ENGINES, *TORCH_ENGINES):
        engine = job.spec.benchmark.engine
    if job.spec.benchmark.engine in GPU_ENGINES:
        device = "the GPU"
    console.print(f"measured against: {baseline}, in {engine} on {device}")
    if serving := job.spec.benchmark.serving:
        load = _load(serving)
        tokens = f"prompts of {serving.prompt_tokens} tokens, answers of up to {serving.longest_answer}"
        console.print(f"served by: vLLM, requests {load}, {tokens}", highlight=False)
    _print_objectives(planned_of(job, prepared), console)
    memory = prepared.memory
    console.print(
        f"memory: about {format_bytes(memory.expected)} for {memory.step}, at least {format_bytes(memory.least)}; "
        f"{format_bytes(memory_limit())} are allowed here"
    )
    console.print(_time(prepared.time), highlight=False)
    console.print(f"disk: up to {format_bytes(prepared.disk_bytes)} in the work directory")
    console.print(f"result: {job.spec.output.destination}")
