"""Convert measurements to the contract's figures, and to the estimates that the objectives are judged by."""

from collections.abc import Mapping
from typing import Any

from compression_runner.dataset import SampleSet
from compression_runner.evaluation.answers.decoding import past_tokens
from compression_runner.evaluation.machine.description import machine
from compression_runner.evaluation.machine.memory import MemoryFigures
from compression_runner.evaluation.machine.noise import Noise, noise_notes
from compression_runner.evaluation.quality.comparison import Quality, Score
from compression_runner.evaluation.speed.latency_run import QUANTILES, LatencyRun
from compression_runner.evaluation.speed.scenario import Scenario
from compression_runner.evaluation.speed.throughput import ThroughputRun
from compression_runner.inference.predictor import Engine
from compression_runner.inference.versions import engine_version
from compressionjob.estimate import Estimate
from compressionjob.methods.promise import broken_promises
from compressionjob.objectives import ERROR_METRICS, QualityMetric
from compressionjob.pipeline import promise_of
from compressionjob.report import Environment, ModelFigures
from compressionjob.sla_objectives import (
    LATENCY,
    MEMORY,
    MEMORY_RATIO,
    QUALITY_DROP,
    QUALITY_ERROR,
    QUALITY_INCREASE,
    QUALITY_SCORE,
    SIZE,
    SIZE_RATIO,
    SPEEDUP,
    THROUGHPUT,
)
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS


def model_figures(
    size: int,
    memory: MemoryFigures,
    run: LatencyRun,
    side: int,
    rates: ThroughputRun,
    quality: Quality,
    confidence: float,
) -> ModelFigures:
    """Return the figures of the baseline (side 0) or the compressed model (side 1)."""
    latencies = {name: run.percentile(side, name, confidence) for name in QUANTILES}
    rate, energy = rates.rate(side), rates.energy(side)
    return ModelFigures(
        size_bytes=size,
        peak_memory_bytes=round(memory.value),
        gpu_memory_bytes=memory.gpu_value,
        latency_seconds={name: latency.value for name, latency in latencies.items()},
        latency_intervals=latencies,
        throughput_per_second=rate.value,
        throughput_interval=rate,
        energy_joules_per_sample=energy.value if energy else None,
        energy_interval=energy,
        quality={name: (score.baseline, score.compressed)[side].value for name, score in quality.scores.items()},
    )


def estimates_of(
    spec: CompressionJobSpec,
    sides: list[ModelFigures],
    memory: list[MemoryFigures],
    quality: Quality,
    metric: QualityMetric,
    run: LatencyRun,
    rates: ThroughputRun,
    confidence: float,
) -> dict[str, Estimate]:
    """Return the estimate for each objective of an SLA, without those that could not be measured."""
    before, after = sides
    score = quality.scores[metric]
    return {
        **quality_estimates(score),
        **latency_estimates(spec, run, confidence),
        THROUGHPUT: rates.rate(1),
        SIZE: Estimate.exact(after.size_bytes),
        SIZE_RATIO: Estimate.exact(after.size_bytes / before.size_bytes),
        **memory_estimates(memory[0], memory[1]),
    }


def latency_estimates(spec: CompressionJobSpec, run: LatencyRun, confidence: float) -> dict[str, Estimate]:
    """Return the estimates for limits on latency and speed-up."""
    name = spec.sla.latency.percentile if spec.sla.latency else "p99"
    speedup = run.speedup(name, confidence)
    return {LATENCY: run.percentile(1, name, confidence)} | ({SPEEDUP: speedup} if speedup else {})


def memory_estimates(before: MemoryFigures, after: MemoryFigures) -> dict[str, Estimate]:
    """Return the estimates for limits on memory; an estimate needs at least two processes."""
    if after.peak is None:
        return {}
    if before.peak is None:
        return {MEMORY: after.peak}
    # Combining both ends makes the interval too wide; the cost is small, since peaks hardly vary.
    ratio = Estimate(
        value=after.peak.value / before.peak.value,
        low=after.peak.low / before.peak.high,
        high=after.peak.high / max(before.peak.low, 1.0),
    )
    return {MEMORY: after.peak, MEMORY_RATIO: ratio}


def _query(spec: CompressionJobSpec) -> str | None:
    """Describe one query if it is not one pass over whole samples; None otherwise."""
    if not TASKS[spec.model.task].running_text:
        return None
    return f"one step of decoding: one token of each text, after {past_tokens(spec.benchmark)} tokens"


def quality_estimates(score: Score) -> dict[str, Estimate]:
    """Return the estimates for limits on quality."""
    if score.drop is None:
        return {QUALITY_ERROR: score.compressed}
    if score.metric in ERROR_METRICS:
        return {QUALITY_INCREASE: score.drop, QUALITY_ERROR: score.compressed}
    return {QUALITY_DROP: score.drop, QUALITY_SCORE: score.compressed}


def anomalies_of(
    spec: CompressionJobSpec,
    estimates: Mapping[str, Estimate],
    speedup: Estimate,
    drop: Estimate | None,
    quality: Quality,
) -> list[str]:
    """List the promises of the methods that the compressed model breaks; `speedup` is of the models alone, at p50."""
    broken = broken_promises(
        promise_of(spec.pipeline),
        size_ratio=estimates[SIZE_RATIO].value,
        speedup=speedup,
        quality_drop=drop,
    )
    if quality.other_size:
        broken.append(f"output {quality.other_size} has another size than the baseline's")
    if quality.non_finite_samples:
        broken.append(f"answers {quality.non_finite_samples} of {quality.samples} samples with NaN or infinity")
    return broken


def environment_of(
    spec: CompressionJobSpec,
    engine: Engine,
    threads: int,
    data: SampleSet,
    run: LatencyRun,
    rates: ThroughputRun,
    noise: Noise,
    quality: Quality,
    memory: list[MemoryFigures],
    confidence: float,
) -> Environment:
    """Return the conditions of the measurement, for the report."""
    return Environment(
        measured_in=f"{engine} {engine_version(engine)}",
        machine=machine(),
        threads=threads,
        batch_size=spec.benchmark.batch_size,
        sequence_length=spec.benchmark.sequence_length if data.padding else None,
        query=_query(spec),
        evaluation_samples=quality.samples,
        max_abs_difference=quality.max_abs_difference,
        **_scenario(run.scenario),
        queries_per_model=run.queries,
        blocks=len(run.pairs),
        interval_confidence=round(confidence, 6),
        memory_floor_bytes=max(figures.floor_bytes for figures in memory),
        noise=noise.to_report(),
        notes=[*run.notes, *noise_notes(noise), *([quality.note] if quality.note else [])],
    )


def _scenario(scenario: Scenario) -> dict[str, Any]:
    """Return the scenario of the latencies: figures of different scenarios must not be compared."""
    scenario_fields: dict[str, Any] = {"scenario": scenario.name}
    if scenario.name == "Server":
        scenario_fields["target_rate"] = scenario.rate
    if scenario.name == "MultiStream":
        scenario_fields["samples_per_query"] = scenario.samples
    return scenario_fields
