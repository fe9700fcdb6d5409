"""The parts of an evaluation that only some jobs request: trust, served requests and recovery."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from compression_runner.dataset import SampleSet
from compression_runner.evaluation.answers.model import Answering
from compression_runner.evaluation.answers.pair import AnswerPair, model_digest
from compression_runner.evaluation.interim import SERVING_TIME, Interim
from compression_runner.evaluation.machine.cpus import MeasuringCpus
from compression_runner.evaluation.machine.pinning import pinned
from compression_runner.evaluation.measurements import MeasuredModel
from compression_runner.evaluation.phases import RECOVERY, SERVING, TRUST, Stopwatch
from compression_runner.evaluation.recovery.recovery import ComparedModels, Recovery, RecoveryTasks, measure_recovery
from compression_runner.evaluation.request import requests_trust
from compression_runner.evaluation.serving.serve import Served, ServedModels, ServingLimits, commands_of, serve
from compression_runner.evaluation.statistics.alpha_spending import LOOKS
from compression_runner.evaluation.trust import Trust, measure_trust
from compression_runner.inference.opening import engine_of, engine_of_graph, open_predictor
from compression_runner.inference.predictor import Predictor
from compressionjob.estimate import Estimate
from compressionjob.field_types import parse_duration
from compressionjob.report import EngineCheck
from compressionjob.serving import Serving
from compressionjob.spec import CompressionJobSpec

CHECKING: Final = 0.3
"""Part of the progress on served requests that the check of the engine takes: it starts the server several times."""


def trust_of(
    spec: CompressionJobSpec,
    subjects: tuple[MeasuredModel, MeasuredModel],
    predictors: tuple[Predictor, Predictor],
    data: SampleSet,
    answered: AnswerPair,
    confidence: float,
    watch: Stopwatch,
) -> Trust:
    """Measure trust objectives if the job requests them: last, because torch's threads would disturb the speed."""
    if not requests_trust(spec):
        return Trust()
    task, batch = spec.model.task, spec.benchmark.batch_size
    before, after = (
        Answering(predictor, task, batch, subject.checkpoint)
        for predictor, subject in zip(predictors, subjects, strict=True)
    )
    answers = (answered.baseline, answered.compressed)
    with watch.phase(TRUST) as advance:
        return measure_trust(spec, (before, after), data, answers, confidence, same=answered.same, advance=advance)


def served_of(
    spec: CompressionJobSpec,
    models: ServedModels | None,
    graph: Path,
    data: SampleSet,
    confidence: float,
    cpus: MeasuringCpus,
    watch: Stopwatch,
    interim: Interim,
) -> Served:
    """Measure both models on the job's serving engine, until limits on served requests are decided.

    Before, check that the engine loads the compressed model, and that its answers are those of the judged `graph`.
    """
    serving = spec.benchmark.serving
    if serving is None or models is None:
        return Served()
    began, seconds = interim.now(), SERVING_TIME * parse_duration(spec.benchmark.time_limit)

    def look(estimates: Mapping[str, Estimate | None], requests: int) -> bool:
        # Looks at several rates have no fixed number.
        planned = 0 if serving.find_max_rate else LOOKS
        return interim.decided(estimates, "requests", requests, began, planned)

    # The servers inherit the CPUs of this process.
    with watch.phase(SERVING) as advance, pinned(cpus):
        check = _engine_check(serving, models, graph, data, cpus.threads, lambda part: advance(CHECKING * part))
        limits = ServingLimits(confidence, seconds, cpus.threads)
        served = serve(
            spec, serving, models, data, limits, look, lambda part: advance(CHECKING + (1 - CHECKING) * part)
        )
    report = served.report.model_copy(update={"check": check}) if served.report else None
    return replace(served, report=report)


def _engine_check(
    serving: Serving, models: ServedModels, graph: Path, data: SampleSet, threads: int, advance: Callable[[float], None]
) -> EngineCheck:
    # It imports torch, which jobs without a serving engine may not need.
    from compression_runner.evaluation.serving.engine_check import CheckedModel, checked_texts, judged, require_loaded

    texts = checked_texts(data, serving.prompt_tokens)
    with open_predictor(graph, threads, engine_of_graph(graph)) as predictor:
        expected = judged(predictor, texts)
    command = commands_of(serving, models, threads).commands[1]
    return require_loaded(CheckedModel(models.compressed, command, models.folder), texts, expected, advance)


def recovery_of(
    spec: CompressionJobSpec,
    tasks: RecoveryTasks | None,
    models: tuple[tuple[Path, Path], tuple[Predictor, Predictor]],
    answered: AnswerPair,
    confidence: float,
    watch: Stopwatch,
    interim: Interim,
    kept: Path | None,
) -> Recovery:
    """Measure the recovery of the job's tasks; the baseline's scores are kept for other results of the job."""
    if tasks is None:
        return Recovery()
    (baseline, compressed), (before, after) = models
    engine = engine_of(compressed, spec.benchmark.engine)
    both = ComparedModels(before, after, f"{model_digest(baseline)} {engine}", answered.same, kept)
    began = interim.now()
    with watch.phase(RECOVERY) as advance:
        recovery = measure_recovery(tasks, spec.sla.recovery, both, confidence, advance)
    if recovery.report:
        documents = sum(task.documents for task in recovery.report.tasks if task.verdict)
        interim.decided(recovery.estimates, "documents", documents, began, planned=1)
    return recovery
