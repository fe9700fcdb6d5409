"""The answers of both models to the evaluation data; those of the baseline are kept for later runs."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from compression_runner.dataset import SampleSet
from compression_runner.dataset.loading import file_digest
from compression_runner.evaluation.answers.answers import answers, kept_answers
from compression_runner.evaluation.answers.greedy import written
from compression_runner.evaluation.answers.next_tokens import next_tokens
from compression_runner.evaluation.phases import Stopwatch
from compression_runner.formats.graph_files import files_of_graph
from compression_runner.inference.opening import engine_of
from compression_runner.inference.predictor import Engine, Predictor
from compression_runner.inference.similarity import Floats
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS, Task


@dataclass(frozen=True)
class AnswerPair:
    """What both models answer to the evaluation data, and whether they are the same file."""

    baseline: Floats
    compressed: Floats
    same: bool


def answer_both(
    spec: CompressionJobSpec,
    models: tuple[Path, Path],
    predictors: tuple[Predictor, Predictor],
    data: SampleSet,
    watch: Stopwatch,
    answers_cache: Path | None,
) -> AnswerPair:
    """Answer the evaluation data with both models; `answers_cache` is a folder that keeps the baseline's answers."""
    task, batch = spec.model.task, spec.benchmark.batch_size
    digests = [_model_digest(model) for model in models]
    name = _fingerprint(digests[0], data, spec, engine_of(models[1]))
    kept = answers_cache / f"{name}.npy" if answers_cache else None
    same = digests[0] == digests[1]
    with watch.phase("evaluate baseline") as advance:
        old = kept_answers(kept, lambda: _answers(predictors[0], data, task, batch, advance))
    with watch.phase("evaluate compressed") as advance:
        new = old if same else _answers(predictors[1], data, task, batch, advance)
    if old.shape != new.shape:
        raise ValueError(f"the models answer in different shapes: {old.shape} and {new.shape}")
    return AnswerPair(old, new, same)


def _answers(predictor: Predictor, data: SampleSet, task: Task, batch: int, advance: Callable[[float], None]) -> Floats:
    if TASKS[task].running_text:
        return next_tokens(predictor, data, batch, advance)
    if data.writing is not None:
        return written(predictor, data, batch, advance)
    return answers(predictor, data, task, batch, advance)


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
