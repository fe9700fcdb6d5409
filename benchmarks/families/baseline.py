"""The runner's baseline of a tiny model: its graph, the prepared rows, and its answers."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.families.catalog import Family
from benchmarks.families.comparison import Answers
from benchmarks.families.trying import manifest
from compression_runner.commands.manifest import read_manifest
from compression_runner.dataset import SampleSet
from compression_runner.dataset.labels import class_names
from compression_runner.evaluation.answers.answers import answers
from compression_runner.evaluation.answers.greedy import written
from compression_runner.evaluation.answers.next_tokens import next_tokens
from compression_runner.inference.opening import open_predictor
from compression_runner.pipeline.preflight import preflight
from compression_runner.pipeline.run_locations import of_trial
from compression_runner.pipeline.staging import stage
from compression_runner.storage import Stores
from compression_runner.telemetry.progress import RunProgress
from compressionjob.tasks import TASKS

STAGE: Final[dict[str, Any]] = {"pack": {}}
"""A stage that does not change the model: its input is the baseline."""


@dataclass(frozen=True)
class Baseline:
    """The export of a model, with the rows as it takes them and the names of its classes in the order of its scores."""

    family: Family
    graph: Path
    data: SampleSet
    classes: tuple[str, ...]
    dropped: int = 0
    """Number of values to drop at the end of each answer, as a planted fault."""

    def answers(self, batch: int) -> Answers:
        """Return the answers in batches of `batch` rows.

        Raises InvalidInput if the model's outputs do not fit its task.
        """
        task = self.family.task
        with open_predictor(self.graph, 1, "onnxruntime") as predictor:
            if TASKS[task].running_text:
                return Answers(values=next_tokens(predictor, self.data, batch)[:, 0, : self._end])
            if self.data.generation is not None:
                return Answers(texts=self.data.generation.texts(written(predictor, self.data, batch)[:, : self._end]))
            values = answers(predictor, self.data, task, batch)[:, : self._end]
        return Answers(values=values, names=self.classes)

    @property
    def windows(self) -> list[list[int]]:
        """The tokens of each row of running text; none for other tasks."""
        if not TASKS[self.family.task].running_text:
            return []
        return [np.asarray(sample["input_ids"]).tolist() for sample in self.data.samples]

    @property
    def _end(self) -> int | None:
        return -self.dropped or None


def baseline_of(family: Family, folder: Path) -> Baseline:
    """Export the model of a family's folder as a run does, or take it from a checkpoint.

    Raises a RunnerError if that fails.
    """
    job = read_manifest(manifest(family, STAGE, folder / "baseline.yaml"))
    locations = of_trial(job.spec, Stores(environment={}, base=folder), folder / "work")
    models = stage(job.spec, preflight(job.spec, locations), locations, RunProgress())
    classes = _classes(folder / "model") if TASKS[family.task].classifies else ()
    return Baseline(family, models.baseline, models.data, classes)


def _classes(model: Path) -> tuple[str, ...]:
    """Return the runner's first name of each class, in the order of their numbers."""
    names: dict[int, str] = {}
    for name, number in class_names(model).items():
        names.setdefault(number, name)
    return tuple(names[number] for number in sorted(names))


def with_padding(baseline: Baseline, token: int) -> Baseline:
    """Return the baseline with another padding token."""
    return replace(baseline, data=replace(baseline.data, padding={**baseline.data.padding, "input_ids": token}))
