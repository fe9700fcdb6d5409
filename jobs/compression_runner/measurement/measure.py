"""All measurements of a job: both models, every figure of the report, and the estimates that the verdict needs."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from compression_runner.artifact import Artifact
from compression_runner.dataset import SampleSet
from compression_runner.dataset.loading import file_digest
from compression_runner.errors import InvalidInput
from compression_runner.formats.graph_files import files_of_graph
from compression_runner.measurement.answers import Floats, answers, kept_answers
from compression_runner.measurement.contender import contender, offline_batch, prepared_queries
from compression_runner.measurement.energy import energy_meter
from compression_runner.measurement.figures import anomalies_of, environment_of, estimates_of, model_figures
from compression_runner.measurement.greedy import NOT_FINITE, written
from compression_runner.measurement.latency import LATENCY_SHARE, LatencyPlan, measure_latency
from compression_runner.measurement.latency_run import MODELS, QUANTILES, LatencyRun
from compression_runner.measurement.memory import MemoryFigures, measure_memory
from compression_runner.measurement.next_tokens import next_tokens
from compression_runner.measurement.noise import noise_between, read_noise, usable_cpus
from compression_runner.measurement.observer import Observer
from compression_runner.measurement.perplexity import language_quality
from compression_runner.measurement.predictor import Engine, Feed, Predictor, engine_of, open_predictor
from compression_runner.measurement.quality import Quality, classification_quality, embedding_quality, unchanged
from compression_runner.measurement.regression import regression_quality
from compression_runner.measurement.scenario import Scenario
from compression_runner.measurement.throughput import ThroughputRun, measure_throughput
from compression_runner.measurement.writing_quality import writing_quality
from compression_runner.trust.asked import Trust, is_asked
from compression_runner.trust.subject import Answering
from compressionjob import sla
from compressionjob.conditions import INVALID_INPUT
from compressionjob.estimate import Estimate
from compressionjob.objectives import ERROR_METRICS, QualityMetric, Sla
from compressionjob.report import ModelFigures
from compressionjob.schema import parse_duration
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS, Task, default_metric
from compressionjob.trust_report import TrustReport

Advance = Callable[[str, float], None]
"""Is told what is being measured and the share of all measuring that is done."""

SHARES: Final = {
    "evaluate baseline": 0.15,
    "evaluate compressed": 0.10,
    "latency": 0.50,
    "throughput": 0.20,
    "memory": 0.05,
}
"""Rough shares of the phases in the time of all measuring, for progress."""
TRUST: Final = "trust"
TRUST_SHARE: Final = 0.50
"""What trust takes of the time of all measuring, roughly, where it is asked for."""

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
    environment: dict[str, Any]
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
) -> Measurements:
    """Measure both models on this machine.

    Every interval has the confidence at which all objectives of the SLA hold together, for all `results` that may be
    judged in this job. `answers_cache` is a folder in which the baseline's answers are kept for later runs; `observer`
    is told figures on the way. Raises InvalidInput for models and data that cannot be measured as the job asks.
    """
    watch = _Stopwatch(advance, _shares(spec))
    confidence = sla.interval_confidence(spec.sla, results)
    threads = spec.benchmark.threads or usable_cpus()
    # Like with like: a result for OpenVINO is compared with the baseline in OpenVINO.
    engine = engine_of(compressed.model)
    with (
        open_predictor(baseline.model, threads, engine) as before,
        open_predictor(compressed.model, threads, engine) as after,
    ):
        answered = _answered(spec, (baseline, compressed), (before, after), data, watch, answers_cache)
        quality = _quality(spec, answered, data, confidence)
        metric = _metric(spec, quality, data)
        feeds = [prepared_queries(side, data, spec.benchmark, limit=1)[0] for side in (before, after)]
        with watch.phase("memory"):
            memory = _memory((baseline, compressed), feeds, threads, confidence, engine, observer)
        noise_before = read_noise()
        run, rates = _speed(spec, (before, after), data, confidence, watch, observer)
        noise = noise_between(noise_before, read_noise())
        trust = _trust(spec, (baseline, compressed), (before, after), data, answered, confidence, watch)
    sides = [
        model_figures(size, memory[i], run, i, rates, quality, confidence)
        for i, size in enumerate((baseline.size_bytes, compressed.size_bytes))
    ]
    speedups = {name: found for name in QUANTILES if (found := run.speedup(name, confidence))}
    drops: dict[str, Estimate] = {name: score.drop for name, score in quality.scores.items()}
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
        environment={
            "measuredIn": f"{engine} {version(engine)}",
            **environment_of(spec, threads, data, run, rates, noise, quality, memory, confidence),
        },
        timings=watch.seconds,
        trust=trust.report,
    )


class _Stopwatch:
    """Seconds by phase, and the progress of all measuring."""

    def __init__(self, advance: Advance | None, shares: Mapping[str, float]) -> None:
        self.seconds: dict[str, float] = {}
        self._advance = advance
        self._shares = shares
        self._done = 0.0

    @contextmanager
    def phase(self, name: str) -> Iterator[Callable[[float], None]]:
        """Time a phase; yields what is told the share of it that is done."""
        start = time.monotonic()

        def advance(share: float) -> None:
            if self._advance:
                self._advance(name, min(1.0, self._done + share * self._shares[name]))

        advance(0.0)
        yield advance
        self.seconds[name] = round(time.monotonic() - start, 3)
        self._done += self._shares[name]
        advance(0.0)


def _shares(spec: CompressionJobSpec) -> Mapping[str, float]:
    """Return the share of each phase that the job has."""
    if not is_asked(spec):
        return SHARES
    return {**{name: share * (1 - TRUST_SHARE) for name, share in SHARES.items()}, TRUST: TRUST_SHARE}


@dataclass(frozen=True)
class _Answered:
    """What both models answer to the evaluation data, and whether they are the same file."""

    baseline: Floats
    compressed: Floats
    same: bool


def _answered(
    spec: CompressionJobSpec,
    subjects: tuple[Subject, Subject],
    predictors: tuple[Predictor, Predictor],
    data: SampleSet,
    watch: _Stopwatch,
    answers_cache: Path | None,
) -> _Answered:
    """Answer the evaluation data with both models."""
    task, batch = spec.model.task, spec.benchmark.batch_size
    digests = [_model_digest(subject.model) for subject in subjects]
    print_ = _fingerprint(digests[0], data, spec, engine_of(subjects[1].model))
    kept = answers_cache / f"{print_}.npy" if answers_cache else None
    same = digests[0] == digests[1]
    with watch.phase("evaluate baseline") as advance:
        old = kept_answers(kept, lambda: _answers(predictors[0], data, task, batch, advance))
    with watch.phase("evaluate compressed") as advance:
        new = old if same else _answers(predictors[1], data, task, batch, advance)
    if old.shape != new.shape:
        raise ValueError(f"the models answer in different shapes: {old.shape} and {new.shape}")
    return _Answered(old, new, same)


def _quality(spec: CompressionJobSpec, answered: _Answered, data: SampleSet, confidence: float) -> Quality:
    """Compare the answers of both models."""
    found = _compare(spec, answered.baseline, answered.compressed, data, confidence)
    return unchanged(found) if answered.same else found


def _trust(
    spec: CompressionJobSpec,
    subjects: tuple[Subject, Subject],
    predictors: tuple[Predictor, Predictor],
    data: SampleSet,
    answered: _Answered,
    confidence: float,
    watch: _Stopwatch,
) -> Trust:
    """Measure what averages hide, where the job asks for it: last, as torch's threads would disturb the speed."""
    if not is_asked(spec):
        return Trust()
    from compression_runner.trust.measuring import measure_trust

    task, batch = spec.model.task, spec.benchmark.batch_size
    before, after = (
        Answering(predictor, task, batch, subject.checkpoint)
        for predictor, subject in zip(predictors, subjects, strict=True)
    )
    found = (answered.baseline, answered.compressed)
    with watch.phase(TRUST) as advance:
        return measure_trust(spec, (before, after), data, found, confidence, same=answered.same, advance=advance)


def _answers(predictor: Predictor, data: SampleSet, task: Task, batch: int, advance: Callable[[float], None]) -> Floats:
    if TASKS[task].running_text:
        return next_tokens(predictor, data, batch, advance)
    if data.writing is not None:
        return written(predictor, data, batch, advance)
    return answers(predictor, data, task, batch, advance)


def _compare(spec: CompressionJobSpec, old: Floats, new: Floats, data: SampleSet, confidence: float) -> Quality:
    if TASKS[spec.model.task].running_text:
        return language_quality(old, new, confidence)
    if data.writing is not None:
        texts = [data.writing.texts(side) for side in (old, new)]
        found = writing_quality(texts[0], texts[1], data.references, spec.model.task, confidence)
        return replace(found, non_finite_samples=int((new == NOT_FINITE).any(axis=1).sum()))
    if TASKS[spec.model.task].classifies:
        return classification_quality(old, new, data.labels, confidence)
    if "correlation" in TASKS[spec.model.task].metrics:
        return regression_quality(old, new, data.labels, confidence)
    return embedding_quality(old, new, confidence)


def _model_digest(model: Path) -> str:
    """Return the hash of a graph and of the files that hold its weights."""
    return " ".join(file_digest(path) for path in files_of_graph(model))


def _fingerprint(model_digest: str, data: SampleSet, spec: CompressionJobSpec, engine: Engine) -> str:
    """Return the hash of all that the baseline's answers depend on."""
    parts = {
        "model": model_digest,
        "data": data.digest,
        "columns": spec.data.evaluation.columns.to_json(),
        "samples": len(data),
        "task": spec.model.task,
        "sequenceLength": spec.benchmark.sequence_length,
        "batchSize": spec.benchmark.batch_size,
        engine: version(engine),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _metric(spec: CompressionJobSpec, quality: Quality, data: SampleSet) -> QualityMetric:
    """Return the metric that the SLA is about. Raises InvalidInput when the data does not give it."""
    metric = spec.quality_metric or default_metric(spec.model.task, has_labels=data.answered)
    if metric in quality.scores:
        _require_limits_of_its_kind(spec, metric)
        return metric
    needs = "needs at least 3 samples" if metric == "neighbours" else "needs labels"
    there = ", ".join(quality.scores)
    raise InvalidInput(
        INVALID_INPUT, "spec.sla.quality.metric", metric, f"it {needs}", f"give them, or choose one of {there}"
    )


def _require_limits_of_its_kind(spec: CompressionJobSpec, metric: QualityMetric) -> None:
    """Refuse limits of a score where the data gave an error, and the other way round: they would judge nothing."""
    limits, is_error = spec.sla.quality, metric in ERROR_METRICS
    if limits and (limits.limits_score if is_error else limits.limits_error):
        problem = f"the data is measured by {metric}, {'an error' if is_error else 'a score'}"
        remedy = "set maxIncrease or max" if is_error else "set maxDrop or min"
        raise InvalidInput(INVALID_INPUT, "spec.sla.quality", json.dumps(limits.to_json()), problem, remedy)


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
    watch: _Stopwatch,
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
