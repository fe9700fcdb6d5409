"""Measure both models of a job: the figures of the report, and the estimates that the verdict needs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from compression_runner.dataset import SampleSet
from compression_runner.dataset.steps import stepwise
from compression_runner.evaluation.answers.batch_axes import place_batch
from compression_runner.evaluation.answers.pair import AnsweredData, AnswerPair
from compression_runner.evaluation.answers.varying import may_vary
from compression_runner.evaluation.interim import SERVING_TIME, Interim
from compression_runner.evaluation.machine.cpus import MeasuringCpus, choose_cpus
from compression_runner.evaluation.machine.execution import Execution, execution_in
from compression_runner.evaluation.machine.memory import LOOKS_AT, MemoryFigures, MemoryProbes
from compression_runner.evaluation.machine.noise import noise_between, read_noise
from compression_runner.evaluation.machine.pinning import pinned
from compression_runner.evaluation.machine.saturation import saturation_note
from compression_runner.evaluation.measurements import MeasuredModel, Measurements
from compression_runner.evaluation.observer import Observer
from compression_runner.evaluation.phases import Advance, Stopwatch, shares_of
from compression_runner.evaluation.quality.by_task import compare, require_answers, with_note
from compression_runner.evaluation.quality.comparison import Quality, of_broken_answers, of_other_size, unchanged
from compression_runner.evaluation.quality.rows import rows_quality
from compression_runner.evaluation.recovery.recovery import RecoveryTasks
from compression_runner.evaluation.report_figures import (
    anomalies_of,
    environment_of,
    estimates_of,
    latency_estimates,
    memory_estimates,
    model_figures,
    quality_estimates,
)
from compression_runner.evaluation.request import looks_at_samples, quality_metric
from compression_runner.evaluation.requested import recovery_of, served_of, trust_of
from compression_runner.evaluation.serving.serve import ServedModels
from compression_runner.evaluation.speed.compiled import compiled
from compression_runner.evaluation.speed.latency import LATENCY_SHARE, LatencyPlan, measure_latency
from compression_runner.evaluation.speed.latency_run import MODELS, QUANTILES, LatencyRun
from compression_runner.evaluation.speed.scenario import Scenario
from compression_runner.evaluation.speed.system_under_test import offline_batch, prepared_queries, system_under_test
from compression_runner.evaluation.speed.throughput import ThroughputRun, measure_throughput
from compression_runner.evaluation.statistics.alpha_spending import each_look, look_of_data
from compression_runner.formats.opening import open_model
from compression_runner.inference.opening import engine_of
from compression_runner.inference.predictor import Engine, Feed, ModelOrigin, Predictor
from compressionjob.cost import cost_per_million
from compressionjob.estimate import Estimate
from compressionjob.field_types import parse_duration
from compressionjob.objectives import QualityMetric
from compressionjob.report import QualityPart
from compressionjob.sla_objectives import COST, LATENCY, MEMORY, MEMORY_RATIO, SPEEDUP, THROUGHPUT
from compressionjob.spec import CompressionJobSpec
from compressionjob.verdict import interval_confidence

SAMPLES_IN_REPORT: Final = 5000
MEMORY_LIMITS: Final = (MEMORY, MEMORY_RATIO)


def measure(
    spec: CompressionJobSpec,
    baseline: MeasuredModel,
    compressed: MeasuredModel,
    data: SampleSet,
    *,
    advance: Advance | None = None,
    answers_cache: Path | None = None,
    observer: Observer | None = None,
    results: int = 1,
    price: float | None = None,
    cpus: MeasuringCpus | None = None,
    served: ServedModels | None = None,
    tasks: RecoveryTasks | None = None,
) -> Measurements:
    """Measure both models on this machine, each figure until its limits are decided.

    The confidence of each interval is corrected for all objectives of the SLA, all looks at them and all `results`
    that this job may judge. `answers_cache` is a folder that keeps the baseline's answers for later runs. `observer`
    receives figures as soon as they are measured. `price` is the price of an hour, for limits on cost. `cpus` default
    to a choice by the job's threads. `served` are the models for the job's serving engine, and `tasks` are its tasks.
    Raises InvalidInput for models and data that cannot be measured as the job requests, and BadRecipe for a compressed
    model that does not load or run.
    """
    watch = Stopwatch(advance, shares_of(spec))
    confidence = interval_confidence(spec.sla, results)
    cpus = cpus or choose_cpus(spec.benchmark.threads)
    threads = cpus.threads
    interim = Interim(spec.sla, threads)
    # A compressed model for OpenVINO is compared with the baseline in OpenVINO.
    engine = engine_of(compressed.model, spec.benchmark.engine)
    with (
        pinned(cpus) as pin,
        execution_in(engine) as execution,
        stepwise(open_model(baseline.model, spec.model.task, threads, engine), data) as before,
        stepwise(open_model(compressed.model, spec.model.task, threads, engine, _origin(spec)), data) as after,
    ):
        models, predictors = (baseline.model, compressed.model), (before, after)
        place_batch(spec, predictors, data)
        feeds = [side.one_run(prepared_queries(side, data, spec.benchmark, limit=1)[0]) for side in predictors]
        execution.require_on_device(predictors, feeds, _origin(spec))
        varies = may_vary(before.inputs, before.outputs, spec.model.task, spec.benchmark.batch_size)
        sizes = looks_at_samples(spec, len(data), has_labels=data.answered, confidence=confidence, may_vary=varies)
        answering = AnsweredData(
            spec, models, predictors, data, watch, answers_cache, whole=len(sizes) == 1, varies=varies
        )
        answered, quality, metric = _answers(spec, answering, sizes, confidence, interim)
        require_answers(spec, quality, _origin(spec).field)
        quality = with_note(quality, saturation_note(models, engine))
        watch.end("evaluate baseline", "evaluate compressed")
        with watch.phase("memory"):
            device = engine, execution.gpu
            memory = _memory(spec, (baseline, compressed), feeds, threads, confidence, device, observer, interim)
        noise_before = read_noise()
        run, rates = _speed(spec, predictors, data, confidence, watch, observer, interim, threads, price, execution)
        noise = noise_between(noise_before, read_noise())
        # The GPU is read around each block.
        noise = replace(noise, gpu=(run.noise + rates.noise if run.noise else rates.noise).gpu)
        pin.release()
        trust = trust_of(spec, (baseline, compressed), predictors, data, answered, confidence, watch)
        recovery = recovery_of(spec, tasks, (models, predictors), answered, confidence, watch, interim, answers_cache)
    each = each_look(confidence)
    serving = served_of(spec, served, compressed.model, data, each, cpus, watch, interim)
    sides = [
        model_figures(size, memory[i], run, i, rates, quality, each)
        for i, size in enumerate((baseline.size_bytes, compressed.size_bytes))
    ]
    speedups = {name: speedup for name in QUANTILES if (speedup := run.speedup(name, each))}
    drops: dict[str, Estimate] = {name: score.drop for name, score in quality.scores.items() if score.drop}
    environment = environment_of(spec, engine, threads, data, run, rates, noise, quality, memory, confidence)
    estimates = estimates_of(spec, sides, memory, quality, metric, run, rates, each)
    if price is not None:
        estimates[COST] = cost_per_million(price, estimates[THROUGHPUT])
    return Measurements(
        baseline=sides[0],
        compressed=sides[1],
        estimates={
            **interim.explained(estimates, noise),
            **interim.explained(serving.estimates, serving.noise),
            **trust.estimates,
            **interim.explained(recovery.estimates, None),
        },
        speedups=speedups,
        quality_drops=drops,
        quality_metric=metric,
        anomalies=anomalies_of(spec, estimates, run.service_speedup(each), drops.get(metric), quality),
        latency_samples={
            "baseline": _flat(run.latencies(0)),
            "compressed": _flat(run.latencies(1)),
        },
        environment=execution.described_in(cpus.described_in(environment, pinned=pin.held)),
        timings=watch.seconds,
        trust=trust.report,
        serving=serving.report,
        recovery=recovery.report,
        looks=interim.report(),
        quality_parts=[QualityPart(name=part.name, metric=part.metric, score=part.value) for part in quality.parts],
    )


def _origin(spec: CompressionJobSpec) -> ModelOrigin:
    """Return the origin of the compressed model: the last stage."""
    place = len(spec.pipeline) - 1
    return ModelOrigin(f"spec.pipeline[{place}].{spec.pipeline[place].method}", compressed=True)


def _answers(
    spec: CompressionJobSpec, answering: AnsweredData, sizes: tuple[int, ...], confidence: float, interim: Interim
) -> tuple[AnswerPair, Quality, QualityMetric]:
    """Answer the data until limits on quality are decided; return the answers, their quality and the metric."""
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
        quality = unchanged(quality) if answered.same else of_broken_answers(quality)
        metric = quality_metric(spec, quality.scores, answered.data)
        if interim.decided(quality_estimates(quality.scores[metric]), "samples", size, began, planned=len(sizes)):
            break
    return answered, quality, metric


def _memory(
    spec: CompressionJobSpec,
    subjects: tuple[MeasuredModel, MeasuredModel],
    feeds: Sequence[Feed],
    threads: int,
    confidence: float,
    device: tuple[Engine, str],
    observer: Observer | None,
    interim: Interim,
) -> list[MemoryFigures]:
    """Measure the peak memory of both models: in one process each if no objective limits memory.

    `device` is the engine, and the UUID of its GPU, if it has one.
    """
    began, at_look = interim.now(), each_look(confidence, len(LOOKS_AT))
    probes = [
        MemoryProbes(subject.model, feed, threads, at_look, device[0], spec.model.task, device[1])
        for subject, feed in zip(subjects, feeds, strict=True)
    ]
    needs = [interim.limits(MEMORY_RATIO), interim.limits(*MEMORY_LIMITS)]
    for processes in LOOKS_AT:
        measured = [probe.measure(processes if needed else 1) for probe, needed in zip(probes, needs, strict=True)]
        estimates = memory_estimates(measured[0], measured[1])
        if interim.decided(estimates, "processes", processes, began, planned=len(LOOKS_AT)):
            break
    for name, figures in zip(MODELS, measured, strict=True):
        if observer:
            observer.peak_memory(name, figures.value)
    return measured


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
    execution: Execution,
) -> tuple[LatencyRun, ThroughputRun]:
    """Measure latency, then throughput, each until its limits are decided."""
    seconds, each = parse_duration(spec.benchmark.time_limit), each_look(confidence)
    if spec.benchmark.serving:
        seconds *= 1.0 - SERVING_TIME
    scenario = Scenario.of(spec.sla.latency)
    sides = [system_under_test(side, data, spec.benchmark, scenario, sequential=threads == 1) for side in predictors]
    decisive = spec.sla.latency.percentile if spec.sla.latency else None
    batch = min(offline_batch(predictor, spec.benchmark) for predictor in predictors)
    with compiled(predictors, sides, {*range(1, batch + 1), scenario.samples}):
        with watch.phase("latency") as advance:
            plan, began = LatencyPlan(each, decisive, seconds * LATENCY_SHARE, scenario), interim.now()

            def latency_decided(run: LatencyRun) -> bool:
                estimates: dict[str, Estimate | None] = {SPEEDUP: None, **latency_estimates(spec, run, each)}
                return interim.decided(estimates, "queries", run.queries, began)

            limited = latency_decided if interim.limits(LATENCY, SPEEDUP) else None
            run = measure_latency(
                sides[0], sides[1], plan, advance, look=execution.read_noise, observer=observer, decided=limited
            )
        with watch.phase("throughput") as advance:
            rest, started = seconds - watch.seconds["latency"], interim.now()

            def rate_decided(rates: ThroughputRun) -> bool:
                rate = rates.rate(1)
                estimates = {THROUGHPUT: rate} | ({} if price is None else {COST: cost_per_million(price, rate)})
                return interim.decided(estimates, "blocks", len(rates.pairs), started)

            enough = rate_decided if interim.limits(THROUGHPUT, COST) else None
            meter = execution.energy_meter()
            rates = measure_throughput(
                sides[0], sides[1], batch, each, rest, advance, look=execution.read_noise, meter=meter, decided=enough
            )
    return run, rates


def _flat(blocks: list[Any]) -> list[float]:
    """Return latencies in the order of measurement, rounded to 0.1 microseconds."""
    return [round(float(value), 7) for block in blocks for value in block][:SAMPLES_IN_REPORT]
