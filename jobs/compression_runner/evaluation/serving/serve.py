"""Serve both models of a job, put them under its load, and return the estimates and the report's part."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from compression_runner.dataset import SampleSet
from compression_runner.evaluation.machine.execution import measuring_gpu
from compression_runner.evaluation.machine.memory_probe import resident_bytes
from compression_runner.evaluation.machine.noise import Noise
from compression_runner.evaluation.serving.client import Request
from compression_runner.evaluation.serving.find_rate import RatePlan, find_rate
from compression_runner.evaluation.serving.judged import (
    judged_quantile,
    longest_limit,
    serving_estimates,
    serving_report,
)
from compression_runner.evaluation.serving.load import Load
from compression_runner.evaluation.serving.prompts import prompts_of
from compression_runner.evaluation.serving.rate_report import rate_estimates, rate_report
from compression_runner.evaluation.serving.rate_run import RateRun
from compression_runner.evaluation.serving.servers import ServerCommands, Servers
from compression_runner.evaluation.serving.serving import LEAST_TIMEOUT, ServingPlan, measure_serving
from compression_runner.evaluation.serving.serving_run import ServingRun
from compression_runner.evaluation.speed.latency_run import MODELS
from compression_runner.inference.serving import vllm
from compressionjob.estimate import Estimate
from compressionjob.objectives import Sla
from compressionjob.report import ServingReport
from compressionjob.serving import Serving
from compressionjob.spec import CompressionJobSpec

TIMES_LIMIT: Final = 2.0
"""A request fails after so many times the largest limit on a latency; at least after LEAST_TIMEOUT."""

Look = Callable[[Mapping[str, Estimate | None], int], bool]
"""Takes the estimates and the number of requests to each model; returns whether all limits are decided."""


@dataclass(frozen=True)
class ServedModels:
    """The folders of both models as the engine loads them, one for the servers' files, and the memory for both."""

    baseline: Path
    compressed: Path
    folder: Path
    memory_bytes: int
    weights_bytes: int = 0


@dataclass(frozen=True)
class Served:
    """The report's part, the estimates that objectives are judged by, and the noise."""

    report: ServingReport | None = None
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    noise: Noise | None = None


@dataclass(frozen=True)
class ServingLimits:
    """The confidence of each look, the seconds for all of them, and the threads of a server."""

    confidence: float
    seconds: float
    threads: int


def serve(
    spec: CompressionJobSpec,
    serving: Serving,
    models: ServedModels,
    data: SampleSet,
    limits: ServingLimits,
    look: Look,
    advance: Callable[[float], None],
) -> Served:
    """Measure both models on the engine.

    Raises InvalidInput or BadRecipe if the engine does not serve a model, and LoadGenError.
    """
    prompts = prompts_of(data, serving.prompt_tokens)
    commands = commands_of(serving, models, limits.threads)
    timeout = max(LEAST_TIMEOUT, TIMES_LIMIT * longest_limit(spec.sla))
    exact = serving.output_tokens is not None
    request = Request(vllm.SERVED_MODEL, prompts, serving.longest_answer, exact, timeout)
    on_gpu = vllm.is_for_gpu()
    with measuring_gpu(wanted=on_gpu) as card, Servers(commands, card=card) as servers:
        # The baseline is measured first; a server may no longer run when all requests have been answered.
        version = vllm.version_at(servers.url(0))
        judged = _Measurement(spec.sla, serving, servers, request, limits, look, advance).judged()
        starts = [servers.start_seconds[side] for side in range(len(MODELS))]
        conditions = {
            "engine": f"{vllm.NAME} {version}",
            "device": (card and card.name) or "GPU" if on_gpu else "CPU",
            "prompts": len(prompts),
            "resident": servers.resident,
        }
    return Served(
        judged.report(conditions, starts),
        {name: estimate for name, estimate in judged.estimates.items() if estimate is not None},
        judged.noise,
    )


@dataclass(frozen=True)
class _Judged:
    """The estimates of a measurement, its noise, and its part of the report."""

    estimates: Mapping[str, Estimate | None]
    noise: Noise | None
    report: Callable[[dict[str, Any], Sequence[float]], ServingReport]


@dataclass(frozen=True)
class _Measurement:
    """A measurement of both servers: at the job's load, or at the rates of a search."""

    sla: Sla
    serving: Serving
    servers: Servers
    request: Request
    limits: ServingLimits
    look: Look
    advance: Callable[[float], None]

    def judged(self) -> _Judged:
        return self._find_rate() if self.serving.find_max_rate else self._at_one_load()

    def _at_one_load(self) -> _Judged:
        sla, serving, confidence = self.sla, self.serving, self.limits.confidence
        load = Load(rate=serving.request_rate or 0.0, concurrency=serving.concurrency or 0)
        plan = ServingPlan(load, judged_quantile(sla), confidence, self.limits.seconds)

        def decided(run: ServingRun) -> bool:
            return self.look(serving_estimates(sla, run, confidence), run.requests)

        run = measure_serving(self.servers, self.request, plan, decided, self.advance)
        return _Judged(
            serving_estimates(sla, run, confidence),
            run.noise,
            lambda conditions, starts: serving_report(sla, serving, run, confidence, conditions, starts),
        )

    def _find_rate(self) -> _Judged:
        sla, serving = self.sla, self.serving

        def decided(run: RateRun) -> bool:
            return self.look(rate_estimates(sla, run), run.requests)

        plan = RatePlan(sla, self.limits.confidence, self.limits.seconds)
        run = find_rate(self.servers, self.request, plan, decided, self.advance)
        return _Judged(
            rate_estimates(sla, run),
            run.noise,
            lambda conditions, starts: rate_report(sla, serving, run, conditions, starts),
        )


def commands_of(serving: Serving, models: ServedModels, threads: int) -> ServerCommands:
    """Return the commands of both servers."""
    longest = serving.prompt_tokens + serving.longest_answer
    cache = vllm.cache_gib(models.memory_bytes)
    plan = vllm.ServerPlan(longest, threads, cache, on_gpu=vllm.is_for_gpu())
    models.folder.mkdir(parents=True, exist_ok=True)
    baseline, compressed = (
        vllm.command_of(model, plan, models.folder, models.folder / f"{name}.log")
        for name, model in zip(MODELS, (models.baseline, models.compressed), strict=True)
    )
    # The runner keeps what the measurement of the graphs took.
    resident = vllm.fit_together(models.weights_bytes, plan, models.memory_bytes - resident_bytes())
    return ServerCommands(vllm.NAME, (baseline, compressed), resident)
