"""Answer the evaluation data with both models, part by part; the baseline's answers are kept for later runs."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from compression_runner.artifact import MARKER
from compression_runner.dataset import SampleSet
from compression_runner.dataset.loading import file_digest
from compression_runner.evaluation.answers.answers import (
    SizeVaries,
    answers,
    chosen_outputs,
    kept_answers,
    output_shapes,
)
from compression_runner.evaluation.answers.batch_axes import answers_at_once
from compression_runner.evaluation.answers.greedy import NOTHING, written
from compression_runner.evaluation.answers.next_tokens import next_tokens, padding_rows, without_divergence
from compression_runner.evaluation.answers.varying import VaryingAnswers, as_rows, varying_answers
from compression_runner.evaluation.phases import Stopwatch
from compression_runner.formats.graph_files import files_of_graph
from compression_runner.inference.answer_parts import AnswerPart, split_answers
from compression_runner.inference.opening import engine_of
from compression_runner.inference.predictor import Engine, Predictor
from compression_runner.inference.similarity import Floats
from compression_runner.inference.versions import engine_version
from compressionjob.objectives import DIVERGENCES
from compressionjob.spec import CompressionJobSpec
from compressionjob.tasks import TASKS, Task

ROWS: Final = 3
"""Version of the layout of kept answers; raise it when a row's content changes."""


@dataclass(frozen=True)
class AnswerPair:
    """Both models' answers to `data`, whether the models are the same file, and the parts that are judged separately.

    `varying` holds the answers if their sizes differ between samples; the other fields are empty then. `other_size`
    names the outputs whose size differs between the two models, if the job's metric compares values one by one:
    `compressed` is NaN then.
    """

    data: SampleSet
    baseline: Floats
    compressed: Floats
    same: bool
    parts: tuple[AnswerPart, ...] = ()
    varying: VaryingAnswers | None = None
    other_size: str = ""


class AnsweredData:
    """Answers of both models, computed as far as they are requested.

    Samples are answered in random order, so that each first part is a random sample of the data; in their own order if
    all are requested at once (`whole`). `cache` is a folder that keeps the baseline's answers. `varies` means that
    outputs may differ in size between samples.
    """

    def __init__(
        self,
        spec: CompressionJobSpec,
        models: tuple[Path, Path],
        predictors: tuple[Predictor, Predictor],
        data: SampleSet,
        watch: Stopwatch,
        cache: Path | None,
        *,
        whole: bool,
        varies: bool,
    ) -> None:
        self._spec, self._predictors, self._data, self._watch = spec, predictors, data, watch
        self._varies = varies
        self._rows = list(range(len(data))) if whole else np.random.default_rng(0).permutation(len(data)).tolist()
        digests = [model_digest(model) for model in models]
        self._same = digests[0] == digests[1]
        self._kept = (
            cache / _fingerprint(digests[0], data, spec, engine_of(models[1], spec.benchmark.engine)) if cache else None
        )
        self._parts: list[tuple[Floats, Floats]] = []
        self._judged: tuple[AnswerPart, ...] | None = None
        self._other_size = ""
        self._done = 0

    def first(self, count: int) -> AnswerPair:
        """Return the answers to the first `count` samples; earlier answers are reused."""
        if count > self._done:
            self._parts.append(self._part(self._done, count))
            self._done = count
        old, new = (_joined([part[side] for part in self._parts]) for side in (0, 1))
        chosen = self._rows[: self._done]
        data = self._data if chosen == list(range(len(self._data))) else self._data.only(chosen)
        if self._varies:
            rows = as_rows(chosen_outputs(self._predictors[0].outputs, self._spec.model.task), old, new)
            if isinstance(rows, VaryingAnswers):
                names = rows.only_compressed() if self._spec.quality_metric not in (None, "matches") else []
                if not names:
                    return AnswerPair(data, old[:, :0], new[:, :0], self._same, varying=rows)
                self._other_size, old = ", ".join(names), rows.baseline_rows()
            else:
                old, new = rows
        if self._judged is None:  # once, so that all looks judge the same
            outputs = output_shapes(self._predictors[0], data, self._spec.model.task)
            self._judged = split_answers(old, outputs) if outputs else ()
        if self._other_size:
            new = np.full_like(old, np.nan)
        if old.shape != new.shape:
            raise ValueError(f"the models answer in different shapes: {old.shape} and {new.shape}")
        return AnswerPair(data, old, new, self._same, self._judged, other_size=self._other_size)

    def _part(self, start: int, stop: int) -> tuple[Floats, Floats]:
        whole = stop - start == len(self._data)
        data = self._data if whole else self._data.only(self._rows[start:stop])
        kept = self._kept and self._kept.with_name(f"{self._kept.name}{'' if whole else f'-{start}-{stop}'}.npy")
        share = (stop - start) / len(self._data)
        with self._watch.phase("evaluate baseline", share) as advance:
            old = kept_answers(kept, lambda: self._answers(0, data, advance))
        with self._watch.phase("evaluate compressed", share) as advance:
            new = self._answers_of_itself(old) if self._same else self._compressed_answers(data, old, advance)
        return old, new

    def _answers_of_itself(self, old: Floats) -> Floats:
        """Return the answers of a compressed model that is the baseline itself."""
        return without_divergence(old) if self._spec.quality_metric in DIVERGENCES else old

    def _compressed_answers(self, data: SampleSet, old: Floats, advance: Callable[[float], None]) -> Floats:
        """Return the compressed model's answers; note the outputs whose size differs from the baseline's."""
        try:
            new = self._answers(1, data, advance)
        except SizeVaries as error:
            self._other_size = error.value
            return old
        if not self._varies and new.shape[1:] != old.shape[1:] and answers_at_once(self._spec, data):
            self._other_size = self._outputs_of_other_size(data)
        return new

    def _outputs_of_other_size(self, data: SampleSet) -> str:
        task = self._spec.model.task
        names = [info.name for info in chosen_outputs(self._predictors[0].outputs, task)]
        before, after = (output_shapes(predictor, data, task) for predictor in self._predictors)
        different = [old.name for old, new in zip(before, after, strict=False) if old.shape != new.shape]
        return ", ".join(different or names)

    def _answers(self, side: int, data: SampleSet, advance: Callable[[float], None]) -> Floats:
        predictor, task, batch = self._predictors[side], self._spec.model.task, self._spec.benchmark.batch_size
        if self._varies:
            return varying_answers(predictor, data, task, advance)
        if TASKS[task].running_text:
            against = self._predictors[0] if side and self._spec.quality_metric in DIVERGENCES else None
            return next_tokens(predictor, data, batch, advance, against)
        return _answers(predictor, data, task, batch, advance)


def _joined(parts: Sequence[Floats]) -> Floats:
    """Join the answers of all parts; texts and windows are padded to the longest."""
    width = max(part.shape[-1] for part in parts)
    return np.concatenate([part if part.shape[-1] == width else _widened(part, width) for part in parts])


def _widened(part: Floats, width: int) -> Floats:
    missing = width - part.shape[-1]
    if part.ndim == 2:
        return np.pad(part, ((0, 0), (0, missing)), constant_values=NOTHING)
    return np.concatenate([part, padding_rows(len(part), missing)], axis=2)


def _answers(predictor: Predictor, data: SampleSet, task: Task, batch: int, advance: Callable[[float], None]) -> Floats:
    if data.generation is not None:
        return written(predictor, data, batch, advance)
    return answers(predictor, data, task, batch, advance)


def model_digest(model: Path) -> str:
    """Return the hash of a graph and of its weight files, or of the files of a folder."""
    files = [path for path in sorted(model.rglob("*")) if path.is_file()] if model.is_dir() else files_of_graph(model)
    return " ".join(file_digest(path) for path in files if path.name != MARKER)


def _fingerprint(model_digest: str, data: SampleSet, spec: CompressionJobSpec, engine: Engine) -> str:
    """Return a hash of everything that the baseline's answers depend on."""
    parts = {
        "model": model_digest,
        "data": data.digest,
        "columns": spec.data.evaluation.columns.to_json(),
        "samples": len(data),
        "task": spec.model.task,
        "sequenceLength": spec.benchmark.sequence_length,
        "batchSize": spec.benchmark.batch_size,
        "rows": ROWS,
        engine: engine_version(engine),
    }
    if data.state:
        parts["state"] = dict(data.state)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
