"""All measurements of a job: both models, every figure of the report, and the estimates that the verdict needs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from compression_runner.artifact import Artifact
from compression_runner.dataset import SampleSet
from compression_runner.evaluation.answers.batch_axes import place_batch
from compression_runner.evaluation.answers.model import Answering
from compression_runner.evaluation.answers.pair import AnsweredData, AnswerPair
from compression_runner.evaluation.answers.varying import may_vary
from compression_runner.evaluation.figures import (
    anomalies_of,
    environment_of,
    estimates_of,
    latency_estimates,
    memory_estimates,
    model_figures,
    quality_estimates,
)
from compression_runner.evaluation.interim import Interim
from compression_runner.evaluation.machine.cpus import MeasuringCpus, choose_cpus
from compression_runner.evaluation.machine.energy import energy_meter
from compression_runner.evaluation.machine.memory import LOOKS_AT, MemoryFigures, MemoryProbes
from compression_runner.evaluation.machine.noise import noise_between, read_noise
from compression_runner.evaluation.machine.pinning import pinned
from compression_runner.evaluation.observer import Observer
from compression_runner.evaluation.phases import TRUST, Advance, Stopwatch, shares_of
from compression_runner.evaluation.quality.by_task import compare
from compression_runner.evaluation.quality.comparison import Quality, of_other_size, unchanged
from compression_runner.evaluation.quality.rows import rows_quality
from compression_runner.evaluation.request import looks_at_samples, quality_metric, requests_trust
from compression_runner.evaluation.speed.contender import contender, offline_batch, prepared_queries
from compression_runner.evaluation.speed.latency import LATENCY_SHARE, LatencyPlan, measure_latency
from compression_runner.evaluation.speed.latency_run import MODELS, QUANTILES, LatencyRun
from compression_runner.evaluation.speed.scenario import Scenario
from compression_runner.evaluation.speed.throughput import ThroughputRun, measure_throughput
from compression_runner.evaluation.statistics.looks import each_look, look_of_data
from compression_runner.evaluation.trust import Trust, measure_trust
from compression_runner.inference.opening import engine_of, open_predictor
from compression_runner.inference.predictor import Engine, Feed, Predictor
from compressionjob import sla
from compressionjob.cost import cost_per_million
from compressionjob.estimate import Estimate
from compressionjob.objectives import QualityMetric, Sla
from compressionjob.report import Environment, ModelFigures, ObjectiveLooks, QualityPart
from compressionjob.schema import parse_duration
from compressionjob.spec import CompressionJobSpec
from compressionjob.trust_report import TrustReport

SAMPLES_IN_REPORT: Final = 5000
MEMORY: Final = (sla.MEMORY, sla.MEMORY_RATIO)


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
    looks: list[ObjectiveLooks] = field(default_factory=list)
    quality_parts: list[QualityPart] = field(default_factory=list)

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
    price: float | None = None,
    cpus: MeasuringCpus | None = None,
) -> Measurements:
    """Measure both models on this machine, each figure until its limits are decided.

    Every interval has the confidence at which all objectives of the SLA, and all looks at them, hold together, for all
    `results` that may be judged in this job. `answers_cache` is a folder in which the baseline's answers are kept for
    later runs; `observer` is told figures on the way; `price` is that of an hour, for limits on cost. `cpus`
    are chosen for the job's threads where they are not given. Raises InvalidInput for models and data that cannot be
    measured as the job asks.
    """
    watch = Stopwatch(advance, shares_of(spec))
    confidence = sla.interval_confidence(spec.sla, results)
    cpus = cpus or choose_cpus(spec.benchmark.threads)
    threads = cpus.threads
    interim = Interim(spec.sla, threads)
    # Like with like: a result for OpenVINO is compared with the baseline in OpenVINO.
    engine = engine_of(compressed.model)
    with (
        pinned(cpus) as pin,
        open_predictor(baseline.model, threads, engine) as before,
        open_predictor(compressed.model, threads, engine) as after,
    ):
        models, predictors = (baseline.model, compressed.model), (before, after)
        place_batch(spec, predictors, data)
        varies = may_vary(before, spec.model.task, spec.benchmark.batch_size)
        sizes = looks_at_samples(spec, len(data), has_labels=data.answered, confidence=confidence, may_vary=varies)
        answering = AnsweredData(
            spec, models, predictors, data, watch, answers_cache, whole=len(sizes) == 1, varies=varies
        )
        answered, quality, metric = _answers(spec, answering, sizes, confidence, interim)
        watch.end("evaluate baseline", "evaluate compressed")
        feeds = [prepared_queries(side, data, spec.benchmark, limit=1)[0] for side in predictors]
        with watch.phase("memory"):
            memory = _memory((baseline, compressed), feeds, threads, confidence, engine, observer, interim)
        noise_before = read_noise()
        run, rates = _speed(spec, predictors, data, confidence, watch, observer, interim, threads, price)
        noise = noise_between(noise_before, read_noise())
        pin.release()
        trust = _trust(spec, (baseline, compressed), predictors, data, answered, confidence, watch)
    each = each_look(confidence)
    sides = [
        model_figures(size, memory[i], run, i, rates, quality, each)
        for i, size in enumerate((baseline.size_bytes, compressed.size_bytes))
    ]
    speedups = {name: found for name in QUANTILES if (found := run.speedup(name, each))}
    drops: dict[str, Estimate] = {name: score.drop for name, score in quality.scores.items()}
    environment = environment_of(spec, engine, threads, data, run, rates, noise, quality, memory, confidence)
    estimates = estimates_of(spec, sides, memory, quality, metric, run, rates, each)
    if price is not None:
        estimates[sla.COST] = cost_per_million(price, estimates[sla.THROUGHPUT])
    return Measurements(
        baseline=sides[0],
        compressed=sides[1],
        estimates={**interim.explained(estimates, noise), **trust.estimates},
        speedups=speedups,
        quality_drops=drops,
        quality_metric=metric,
        anomalies=anomalies_of(spec, estimates, run.service_speedup(each), drops.get(metric), quality),
        latency_samples={
            "baseline": _flat(run.latencies(0)),
            "compressed": _flat(run.latencies(1)),
        },
        environment=cpus.described_in(environment, pinned=pin.held),
        timings=watch.seconds,
        trust=trust.report,
        looks=interim.report(),
        quality_parts=[QualityPart(name=part.name, metric=part.metric, score=part.value) for part in quality.parts],
    )


def _answers(
    spec: CompressionJobSpec, answering: AnsweredData, sizes: tuple[int, ...], confidence: float, interim: Interim
) -> tuple[AnswerPair, Quality, QualityMetric]:
    """Answer the data until limits on quality are decided; return the answers, what they are worth, and the metric."""
    began = interim.now()
    for index, size in enumerate(sizes):
        answered = answering.first(size)
        at_look = look_of_data(confidence, index, len(sizes))
        if answered.varying:
            quality = rows_quality(answered.varying, at_look)
        else:
            quality = compare(spec, answered.baseline, answered.compressed, answered.data, at_look, answered.parts)
        if answered.other_size:
            quality = of_other_size(quality, answered.other_size)
        if answered.same:
            quality = unchanged(quality)
        metric = quality_metric(spec, quality.scores, answered.data)
        if interim.decided(quality_estimates(quality.scores[metric]), "samples", size, began, planned=len(sizes)):
            break
    return answered, quality, metric


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
    interim: Interim,
) -> list[MemoryFigures]:
    """Measure the peak memory of both models: one process each where nothing limits it."""
    began, at_look = interim.now(), each_look(confidence, len(LOOKS_AT))
    probes = [
        MemoryProbes(subject.model, feed, threads, at_look, engine)
        for subject, feed in zip(subjects, feeds, strict=True)
    ]
    needs = [interim.limits(sla.MEMORY_RATIO), interim.limits(*MEMORY)]
    for processes in LOOKS_AT:
        found = [probe.measure(processes if needed else 1) for probe, needed in zip(probes, needs, strict=True)]
        estimates = memory_estimates(found[0], found[1])
        if interim.decided(estimates, "processes", processes, began, planned=len(LOOKS_AT)):
            break
    for name, figures in zip(MODELS, found, strict=True):
        if observer:
            observer.peak_memory(name, figures.value)
    return found


def _speed(
    spec: CompressionJobSpec,
    predictors: tuple[Predictor, Predictor],
    data: SampleSet,
    confidence: float,
    watch: Stopwatch,
    observer: Observer | None,
    interim: Interim,
    threads: int,
    price: float | None,
) -> tuple[LatencyRun, ThroughputRun]:
    """Measure latency, then throughput, each until its limits are decided."""
    seconds, each = parse_duration(spec.benchmark.time_limit), each_look(confidence)
    scenario = Scenario.of(spec.sla.latency)
    sides = [contender(side, data, spec.benchmark, scenario, sequential=threads == 1) for side in predictors]
    decisive = spec.sla.latency.percentile if spec.sla.latency else None
    with watch.phase("latency") as advance:
        plan, began = LatencyPlan(each, decisive, seconds * LATENCY_SHARE, scenario), interim.now()

        def latency_decided(run: LatencyRun) -> bool:
            found: dict[str, Estimate | None] = {sla.SPEEDUP: None, **latency_estimates(spec, run, each)}
            return interim.decided(found, "queries", run.queries, began)

        limited = latency_decided if interim.limits(sla.LATENCY, sla.SPEEDUP) else None
        run = measure_latency(sides[0], sides[1], plan, advance, observer=observer, decided=limited)
    with watch.phase("throughput") as advance:
        batch = min(offline_batch(predictor, spec.benchmark) for predictor in predictors)
        rest, started = seconds - watch.seconds["latency"], interim.now()

        def rate_decided(rates: ThroughputRun) -> bool:
            rate = rates.rate(1)
            found = {sla.THROUGHPUT: rate} | ({} if price is None else {sla.COST: cost_per_million(price, rate)})
            return interim.decided(found, "blocks", len(rates.pairs), started)

        enough = rate_decided if interim.limits(sla.THROUGHPUT, sla.COST) else None
        meter = energy_meter()
        rates = measure_throughput(sides[0], sides[1], batch, each, rest, advance, meter=meter, decided=enough)
    return run, rates


def _flat(blocks: list[Any]) -> list[float]:
    """Return latencies in the order they were measured, rounded to 0.1 microseconds."""
    return [round(float(value), 7) for block in blocks for value in block][:SAMPLES_IN_REPORT]
