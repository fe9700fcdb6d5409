"""All measurements of a job: both models, every figure of the report, and the estimates that the verdict needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from compression_runner.artifact import Artifact
from compression_runner.dataset import SampleSet
from compression_runner.evaluation.answers.model import Answering
from compression_runner.evaluation.answers.pair import AnswerPair, answer_both
from compression_runner.evaluation.figures import anomalies_of, environment_of, estimates_of, model_figures
from compression_runner.evaluation.machine.cpus import MeasuringCpus, choose_cpus
from compression_runner.evaluation.machine.energy import energy_meter
from compression_runner.evaluation.machine.memory import MemoryFigures, measure_memory
from compression_runner.evaluation.machine.noise import noise_between, read_noise
from compression_runner.evaluation.machine.pinning import pinned
from compression_runner.evaluation.observer import Observer
from compression_runner.evaluation.phases import TRUST, Advance, Stopwatch, shares_of
from compression_runner.evaluation.quality.by_task import compare
from compression_runner.evaluation.quality.comparison import (
    Quality,
    unchanged,
)
from compression_runner.evaluation.request import quality_metric, requests_trust
from compression_runner.evaluation.speed.contender import contender, offline_batch, prepared_queries
from compression_runner.evaluation.speed.latency import LATENCY_SHARE, LatencyPlan, measure_latency
from compression_runner.evaluation.speed.latency_run import MODELS, QUANTILES, LatencyRun
from compression_runner.evaluation.speed.scenario import Scenario
from compression_runner.evaluation.speed.throughput import ThroughputRun, measure_throughput
from compression_runner.evaluation.trust import Trust, measure_trust
from compression_runner.inference.opening import engine_of, open_predictor
from compression_runner.inference.predictor import Engine, Feed, Predictor
from compressionjob import sla
from compressionjob.estimate import Estimate
from compressionjob.objectives import Sla
from compressionjob.report import Environment, ModelFigures
from compressionjob.schema import parse_duration
from compressionjob.spec import CompressionJobSpec
from compressionjob.trust_report import TrustReport

SAMPLES_IN_REPORT: Final = 5000


@dataclass(frozen=True)
class Subject:
    """A model that is measured: its ONNX file or IR, and the size in bytes that counts for it (packed, where it is).

    `checkpoint` brings the Transformers directory that it was made of, where there is one.
    """

    model: Path
    size_bytes: int
    checkpoint: Callable[[], Artifact] | None = None


@dataclass
class Measurements:
    """Everything that was measured, in the terms of the contract's report."""

    baseline: ModelFigures
    compressed: ModelFigures
    estimates: dict[str, Estimate]
    speedups: dict[str, Estimate]
    quality_drops: dict[str, Estimate]
    quality_metric: str
    anomalies: list[str]
    latency_samples: dict[str, list[float]]
    environment: Environment
    timings: dict[str, float] = field(default_factory=dict)
    trust: TrustReport | None = None

    def judgement(self, limits: Sla) -> sla.Judgement:
        """Return the verdict on the SLA for which the measurements were made."""
        return sla.judge(limits, self.estimates)


def measure(
    spec: CompressionJobSpec,
    baseline: Subject,
    compressed: Subject,
    data: SampleSet,
    *,
    advance: Advance | None = None,
    answers_cache: Path | None = None,
    observer: Observer | None = None,
    results: int = 1,
    cpus: MeasuringCpus | None = None,
) -> Measurements:
    """Measure both models on this machine.

    Every interval has the confidence at which all objectives of the SLA hold together, for all `results` that may be
    judged in this job. `answers_cache` is a folder in which the baseline's answers are kept for later runs; `observer`
    is told figures on the way. `cpus` are chosen for the job's threads where they are not given. Raises InvalidInput
    for models and data that cannot be measured as the job asks.
    """
    watch = Stopwatch(advance, shares_of(spec))
    confidence = sla.interval_confidence(spec.sla, results)
    cpus = cpus or choose_cpus(spec.benchmark.threads)
    threads = cpus.threads
    # Like with like: a result for OpenVINO is compared with the baseline in OpenVINO.
    engine = engine_of(compressed.model)
    with (
        pinned(cpus) as pin,
        open_predictor(baseline.model, threads, engine) as before,
        open_predictor(compressed.model, threads, engine) as after,
    ):
        answered = answer_both(spec, (baseline.model, compressed.model), (before, after), data, watch, answers_cache)
        quality = _quality(spec, answered, data, confidence)
        metric = quality_metric(spec, quality.scores, data)
        feeds = [prepared_queries(side, data, spec.benchmark, limit=1)[0] for side in (before, after)]
        with watch.phase("memory"):
            memory = _memory((baseline, compressed), feeds, threads, confidence, engine, observer)
        noise_before = read_noise()
        run, rates = _speed(spec, (before, after), data, confidence, watch, observer)
        noise = noise_between(noise_before, read_noise())
        pin.release()
        trust = _trust(spec, (baseline, compressed), (before, after), data, answered, confidence, watch)
    sides = [
        model_figures(size, memory[i], run, i, rates, quality, confidence)
        for i, size in enumerate((baseline.size_bytes, compressed.size_bytes))
    ]
    speedups = {name: found for name in QUANTILES if (found := run.speedup(name, confidence))}
    drops: dict[str, Estimate] = {name: score.drop for name, score in quality.scores.items()}
    environment = environment_of(spec, engine, threads, data, run, rates, noise, quality, memory, confidence)
    estimates = estimates_of(spec, sides, memory, quality, metric, run, rates, confidence)
    return Measurements(
        baseline=sides[0],
        compressed=sides[1],
        estimates={**estimates, **trust.estimates},
        speedups=speedups,
        quality_drops=drops,
        quality_metric=metric,
        anomalies=anomalies_of(spec, estimates, run.service_speedup(confidence), drops.get(metric), quality),
        latency_samples={
            "baseline": _flat(run.latencies(0)),
            "compressed": _flat(run.latencies(1)),
        },
        environment=cpus.described_in(environment, pinned=pin.held),
        timings=watch.seconds,
        trust=trust.report,
    )


def _quality(spec: CompressionJobSpec, answered: AnswerPair, data: SampleSet, confidence: float) -> Quality:
    """Compare the answers of both models."""
    found = compare(spec, answered.baseline, answered.compressed, data, confidence)
    return unchanged(found) if answered.same else found


def _trust(
    spec: CompressionJobSpec,
    subjects: tuple[Subject, Subject],
    predictors: tuple[Predictor, Predictor],
    data: SampleSet,
    answered: AnswerPair,
    confidence: float,
    watch: Stopwatch,
) -> Trust:
    """Measure what averages hide, where the job asks for it: last, as torch's threads would disturb the speed."""
    if not requests_trust(spec):
        return Trust()
    task, batch = spec.model.task, spec.benchmark.batch_size
    before, after = (
        Answering(predictor, task, batch, subject.checkpoint)
        for predictor, subject in zip(predictors, subjects, strict=True)
    )
    found = (answered.baseline, answered.compressed)
    with watch.phase(TRUST) as advance:
        return measure_trust(spec, (before, after), data, found, confidence, same=answered.same, advance=advance)


def _memory(
    subjects: tuple[Subject, Subject],
    feeds: Sequence[Feed],
    threads: int,
    confidence: float,
    engine: Engine,
    observer: Observer | None,
) -> list[MemoryFigures]:
    found = []
    for name, subject, feed in zip(MODELS, subjects, feeds, strict=True):
        found.append(measure_memory(subject.model, feed, threads, confidence, engine))
        if observer:
            observer.peak_memory(name, found[-1].peak.value)
    return found


def _speed(
    spec: CompressionJobSpec,
    predictors: tuple[Predictor, Predictor],
    data: SampleSet,
    confidence: float,
    watch: Stopwatch,
    observer: Observer | None,
) -> tuple[LatencyRun, ThroughputRun]:
    seconds = parse_duration(spec.benchmark.time_limit)
    scenario = Scenario.of(spec.sla.latency)
    sides = [contender(predictor, data, spec.benchmark, scenario) for predictor in predictors]
    decisive = spec.sla.latency.percentile if spec.sla.latency else None
    with watch.phase("latency") as advance:
        plan = LatencyPlan(confidence, decisive, seconds * LATENCY_SHARE, scenario)
        run = measure_latency(sides[0], sides[1], plan, advance, observer=observer)
    with watch.phase("throughput") as advance:
        batch = min(offline_batch(predictor, spec.benchmark) for predictor in predictors)
        rest = seconds - watch.seconds["latency"]
        rates = measure_throughput(sides[0], sides[1], batch, confidence, rest, advance, meter=energy_meter())
    return run, rates


def _flat(blocks: list[Any]) -> list[float]:
    """Return latencies in the order they were measured, rounded to 0.1 microseconds."""
    return [round(float(value), 7) for block in blocks for value in block][:SAMPLES_IN_REPORT]
